"""A certificate says what was looked at and found, under a signature, and can be looked at again."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringfence_governance import certificates, erasure_proof, key_file
from ringfence_governance.byte_scan import BLOCK_BYTES, PATTERN_BYTES_MIN, Patterns, scan
from ringfence_governance.errors import InvalidInput, Refused, StoreCorrupt

from .worlds import ADMIN, LABELS, POLICY, WHY, World, bundle, database, draft, label, make_world, subject

DEX, OLGA = "acme/user:dex", "acme/user:olga"
"""Dex may erase, Olga audit; neither may know of borealis."""


@pytest.fixture
def erased(filled: World) -> tuple[World, dict[str, Any]]:
    """A store, and the whole certificate of an erasure, as it lies in the store."""
    gone = filled.see("acme/user:bob").ids["project.txt"]
    (given,) = filled.door.erase(subject(DEX), [gone], WHY)
    (file,) = (filled.path / "certificates").iterdir()
    whole = json.loads(file.read_bytes())
    assert certificates.without_details(whole) == given
    return filled, whole


def verified(world: World, certificate: dict[str, Any], who: str = OLGA) -> dict[str, bool]:
    answer = world.door.verify_erasure(subject(who), certificate)
    claims = {claim["claim"]: claim["holds"] for claim in answer["claims"]}
    assert answer["holds"] == all(claims.values())
    return claims


def test_it_says_what_was_looked_at(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    seen = certificate["looked_at"]
    named = {name for name, _, _ in seen["files"]}
    assert {
        "store/catalog.db",
        "store/store.json",
        "keys/keys.db",
        "keys/master.key",
        "keys/erasures.log",
    } <= named
    assert any(name.startswith("store/lance/") for name in named)
    assert any(name.startswith("store/audit/") for name in named)
    assert seen["bytes"] == sum(size for _, size, _ in seen["files"])
    assert set(seen["looked_for"]) == {"document", "row", "sealed value", "wrapped key"}
    assert seen["found"] == []
    assert certificate["clean"] is True
    assert certificate["key_generation"] == 1
    assert "until that is retired" in certificate["older_keys"]
    assert (world.path / "certificates").stat().st_mode & 0o077 == 0


def test_a_genuine_one_holds_with_and_without_its_details(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    expected = {"signature", "store", "ledger", "ledger copy", "rows", "keys", "bytes"}
    assert verified(world, certificate) == dict.fromkeys(expected, True)
    assert all(verified(world, certificates.without_details(certificate)).values())
    with database(world.path / "catalog.db") as opened:
        (public,) = opened.execute("SELECT value FROM meta WHERE name = 'certificate_key'").fetchone()
    assert certificates.is_genuine(certificate, public)


def test_every_changed_field_shows(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    for name in certificate:
        changed = copy.deepcopy(certificate)
        value = changed[name]
        changed[name] = {**value, "bytes": 0} if isinstance(value, dict) else _other(value)
        if name == "erasure":
            assert not world.door.verify_erasure(subject(OLGA), changed)["holds"]
            continue
        assert verified(world, changed)["signature"] is False, name


def _other(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return [*value, "0" * 32] if isinstance(value, list) else f"{value}0"


def test_one_signed_by_another_key_is_not_genuine(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    body = {
        k: v for k, v in certificate.items() if k not in ("looked_at", "signature", "public_key", "version")
    }
    forged = certificates.signed(Ed25519PrivateKey.generate(), body, certificate["looked_at"])
    assert certificates.is_genuine(forged, forged["public_key"])
    assert verified(world, forged)["signature"] is False


def test_what_came_back_shows(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    (gone,) = certificate["documents"]
    (world.path / "lance" / "left.bin").write_bytes(b"x" * 100 + gone.encode())
    assert verified(world, certificate)["bytes"] is False
    (world.path / "lance" / "left.bin").unlink()
    with database(world.keys / "keys.db") as opened:
        opened.execute("INSERT INTO document_keys VALUES (?, 1, '', -1, 1, x'00', 0)", [gone])
    claims = verified(world, certificate)
    assert (claims["keys"], claims["bytes"], claims["rows"]) == (False, False, True)


def test_one_of_another_store_does_not_hold(erased: tuple[World, dict[str, Any]], tmp_path: Path) -> None:
    world, certificate = erased
    assert verified(world, {**certificate, "store": "0" * 32})["store"] is False
    unknown = {**certificate, "erasure": "0" * 32}
    assert verified(world, unknown)["ledger"] is False


def test_only_an_auditor_of_the_label_is_told(erased: tuple[World, dict[str, Any]]) -> None:
    world, certificate = erased
    for who in (DEX, "acme/user:bob", "borealis/user:bea"):
        with pytest.raises(Refused):
            world.door.verify_erasure(subject(who), certificate)
    # An auditor of another tenant is told what he would be of an erasure that never was.
    other = world.door.verify_erasure(subject("borealis/user:oz"), certificate)
    assert [(each["claim"], each["holds"]) for each in other["claims"]][2:] == [("ledger", False)]
    assert all(verified(world, certificate, "acme/user:otto").values()), "he audits its label"


def test_a_trace_that_is_left_is_found_and_the_erasure_is_not_finished(filled: World) -> None:
    gone = filled.see("acme/user:bob").ids["project.txt"]
    left = filled.path / "lance" / "swapped.tmp"
    left.write_bytes(b"x" * 50 + gone.encode())
    (given,) = filled.door.erase(subject(DEX), [gone], WHY)
    assert given["clean"] is False
    left.unlink()
    (given,) = filled.door.erase(subject(DEX), [gone], WHY)
    assert given["clean"] is True


def test_canaries_are_looked_for_everywhere_for_who_may_know_of_everything(tmp_path: Path) -> None:
    rows = "\n".join(line for line in POLICY.splitlines() if "borealis" not in line)
    own = {name: fields for name, fields in LABELS.items() if name.startswith("acme/")}
    world = make_world(tmp_path / "world", policy=bundle(rows, own))
    (gone,) = world.put(draft("a", "the canary sings", label("acme/user:dora")))
    (world.path / "lineage" / "notes.txt").write_bytes(b"a canary sings here")
    (given,) = world.door.erase(subject(ADMIN), [gone], WHY, canaries=[b"canary sings", b"another one"])
    assert given["looked_at"]["found"] == [["canary", "store/lineage/notes.txt"]]
    assert given["clean"] is False
    (world.path / "lineage" / "notes.txt").unlink()
    (given,) = world.door.erase(subject(ADMIN), [gone], WHY, canaries=[b"canary sings"])
    assert given["clean"] is True
    world.door.close()


def test_a_certificate_that_was_changed_in_the_store_is_not_given_out(
    erased: tuple[World, dict[str, Any]],
) -> None:
    world, certificate = erased
    (file,) = (world.path / "certificates").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"clean":true', b'"clean":"yes"'))
    with pytest.raises(StoreCorrupt, match="certificate"):
        world.door.erase(subject(DEX), certificate["documents"], WHY)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"store":1,"store":2}', "[" * 100_000, '{"erasure":"x"}'])
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="certificate"):
        certificates.parsed(text)


def test_the_signing_key_is_neither_the_master_key_nor_in_clear(erased: tuple[World, dict[str, Any]]) -> None:
    world, _ = erased
    secret = certificates.signing_key(world.ground.keys).private_bytes_raw()
    for file in (*world.path.rglob("*"), *world.keys.rglob("*")):
        assert file.is_dir() or secret not in file.read_bytes()
    assert secret not in [key.secret for key in key_file.read(world.keys, world.ground.store_id)]


# The scan itself.


@pytest.mark.parametrize(
    "start", [0, 1, BLOCK_BYTES - 3, BLOCK_BYTES - 20, BLOCK_BYTES, 2 * BLOCK_BYTES - 1, -20]
)
def test_a_pattern_is_found_wherever_it_stands(start: int, tmp_path: Path) -> None:
    pattern = b"twenty bytes long it"
    data = bytearray(2 * BLOCK_BYTES + 40)
    start %= len(data)
    data[start : start + len(pattern)] = pattern
    (tmp_path / "file").write_bytes(data[: 2 * BLOCK_BYTES + 40])
    found = scan({"x": tmp_path}, Patterns({pattern: "here", pattern[:-1] + b"!": "not"})).found
    assert found == (("here", "x/file"),)


def test_the_shortest_pattern_and_a_name_are_found_and_shorter_ones_refused(tmp_path: Path) -> None:
    shortest = b"abcdef"
    assert len(shortest) == PATTERN_BYTES_MIN
    (tmp_path / "one").write_bytes(shortest)
    (tmp_path / "abcdef.name").write_bytes(b"")
    found = scan({"x": tmp_path}, Patterns({shortest: "a"})).found
    assert found == (("a", "x/abcdef.name"), ("a", "x/one"))
    with pytest.raises(InvalidInput):
        Patterns({b"abcde": "a"})
    with pytest.raises(InvalidInput):
        erasure_proof.check_canaries([b"long enough"] * 101)
