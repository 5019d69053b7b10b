"""What is sealed opens under its key, in its place, unchanged, and in no other way."""

from __future__ import annotations

import copy
import itertools
import pickle
import zlib
from collections.abc import Callable

import pytest

from ringfence_governance import key_file, seal
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.rows import cell, cells
from ringfence_governance.seal import NONCE_BYTES, OVERHEAD_BYTES, Cipher, derive_from_all, digest, place

from .worlds import World, subject

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
PLAIN = b"the salary of dora"
CELL = {
    "store_id": "s" * 32,
    "table": "chunks",
    "document_id": "d" * 32,
    "row_id": "r" * 32,
    "column": "text",
}


@pytest.fixture
def sealed() -> bytes:
    return Cipher(KEY).seal(PLAIN, cell(**CELL))


def test_what_is_sealed_opens_under_its_key_in_its_place(sealed: bytes) -> None:
    assert Cipher(KEY).open(sealed, cell(**CELL)) == PLAIN


def test_it_does_not_open_under_another_key(sealed: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        Cipher(OTHER_KEY).open(sealed, cell(**CELL))


@pytest.mark.parametrize("part", CELL)
def test_it_does_not_open_where_one_part_of_its_place_is_another(sealed: bytes, part: str) -> None:
    elsewhere = CELL | {part: "documents" if part == "table" else "x" * 32}
    with pytest.raises(StoreCorrupt):
        Cipher(KEY).open(sealed, cell(**elsewhere))


def test_no_flipped_bit_opens(sealed: bytes) -> None:
    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StoreCorrupt):
            Cipher(KEY).open(bytes(changed), cell(**CELL))


def test_no_truncated_or_extended_value_opens(sealed: bytes) -> None:
    for cut in [sealed[:length] for length in range(len(sealed))] + [sealed + b"\0"]:
        with pytest.raises(StoreCorrupt):
            Cipher(KEY).open(cut, cell(**CELL))


def test_a_value_too_short_to_be_sealed_is_named_as_such() -> None:
    with pytest.raises(
        StoreCorrupt, match=f"found a sealed value of 3 bytes; expected at least {OVERHEAD_BYTES}"
    ):
        Cipher(KEY).open(b"abc", b"")


def test_equal_values_are_sealed_under_different_nonces() -> None:
    nonces = {Cipher(KEY).seal(PLAIN, b"")[:NONCE_BYTES] for _ in range(200)}
    assert len(nonces) == 200


def test_the_same_value_for_two_places_shows_no_equal_bytes() -> None:
    first, second = Cipher(KEY).seal(b"\0" * 64, b"a"), Cipher(KEY).seal(b"\0" * 64, b"b")
    assert first[NONCE_BYTES:] != second[NONCE_BYTES:]


def test_packed_values_are_compressed_before_they_are_sealed() -> None:
    packed = Cipher(KEY).seal_packed(b"word " * 1000, b"")
    assert len(packed) < 200
    assert Cipher(KEY).open_packed(packed, b"") == b"word " * 1000


def test_a_value_that_unpacks_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "UNPACKED_BYTES_MAX", 1000)
    assert Cipher(KEY).open_packed(Cipher(KEY).seal(zlib.compress(b"a" * 1000), b""), b"") == b"a" * 1000
    with pytest.raises(StoreCorrupt, match="more than 1000 bytes"):
        Cipher(KEY).open_packed(Cipher(KEY).seal(zlib.compress(b"a" * 1001), b""), b"")


def test_the_parts_of_a_place_cannot_shift_into_each_other() -> None:
    parts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c"), (1, 23), (12, 3)]
    assert len({place(*some) for some in parts}) == len(parts)


def test_the_places_of_one_row_are_those_of_each_of_its_columns() -> None:
    row = ("0" * 32, "chunks", "1" * 32, "2" * 32)
    columns = ("vector", "terms", "metadata")
    assert cells(*row, columns) == [cell(*row, column) for column in columns]


def test_the_parts_of_a_digest_cannot_shift_into_each_other() -> None:
    assert len({digest(KEY, *some) for some in [("ab", "c"), ("a", "bc"), ("abc",)]}) == 3
    assert digest(KEY, "a") != digest(OTHER_KEY, "a")


def test_a_derivative_needs_the_keys_of_all_its_parts() -> None:
    keys = {f"acme/label:{name}": bytes([index]) * 32 for index, name in enumerate("abcd")}
    whole = Cipher(derive_from_all(keys, b"compound")).seal(PLAIN, b"")
    for size in range(1, len(keys)):
        for names in itertools.combinations(keys, size):
            with pytest.raises(StoreCorrupt):
                Cipher(derive_from_all({name: keys[name] for name in names}, b"compound")).open(whole, b"")
    for name in keys:
        wrong = keys | {name: OTHER_KEY}
        with pytest.raises(StoreCorrupt):
            Cipher(derive_from_all(wrong, b"compound")).open(whole, b"")
    reordered = dict(reversed(keys.items()))
    assert Cipher(derive_from_all(reordered, b"compound")).open(whole, b"") == PLAIN


def test_a_derived_key_is_bound_to_its_context_and_to_whose_key_is_whose() -> None:
    keys = {"a": KEY, "b": OTHER_KEY}
    swapped = {"a": OTHER_KEY, "b": KEY}
    derived = {
        derive_from_all(keys, b"one"), derive_from_all(keys, b"two"), derive_from_all(swapped, b"one")
    }  # fmt: skip
    assert len(derived) == 3


def test_nothing_is_derived_from_no_key() -> None:
    with pytest.raises(ValueError, match="expected at least one part"):
        derive_from_all({}, b"")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="found a key of 16 bytes; expected 32"):
        Cipher(b"k" * 16)


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"])
def test_nothing_that_holds_a_key_a_connection_or_a_right_is_picklable_or_copied(
    filled: World, take: Callable[[object], object]
) -> None:
    ground = filled.ground
    with filled.ingestion() as ingestion:
        holders = [
            Cipher(KEY),
            filled.door,
            ground,
            ground.keys,
            ground.catalog,
            ground.tables,
            ground.audit,
            ground.grant(subject("acme/user:hal"), "read"),
            ground.keys.keyring(list(ground.moment().table.entries.values())),
            ground.keys.generations,
            ground.keys.generations._provider,
            *key_file.read(filled.keys, ground.store_id),
            ground.moment().snapshot,
            ingestion,
        ]
        for holder in holders:
            with pytest.raises(TypeError):
                take(holder)


def test_no_repr_says_anything_of_a_key_a_path_or_an_atom(filled: World) -> None:
    ground = filled.ground
    keyring = ground.keys.keyring(list(ground.moment().table.entries.values()))
    (master,) = key_file.read(filled.keys, ground.store_id)
    secrets = {
        master.secret.hex(),
        repr(master.secret)[2:-1],
        str(filled.folder),
        "frozenset",
    }
    holders = [
        Cipher(KEY),
        filled.door,
        ground,
        ground.keys,
        ground.catalog,
        ground.tables,
        ground.audit,
        ground.lineage,
        ground.grant(subject("acme/user:hal"), "read"),
        keyring,
        ground.keys.generations,
        ground.keys.generations._provider,
        master,
        ground.moment(),
    ]
    for holder in holders:
        shown = f"{holder!r} {holder}"
        assert not [secret for secret in secrets if secret in shown], type(holder).__name__
        assert len(shown) < 400, f"{type(holder).__name__} prints more than its name: {shown}"
