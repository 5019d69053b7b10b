"""Wrapped keys open what they were wrapped for: this document, under this label, and nothing else."""

from __future__ import annotations

import itertools
from pathlib import Path

import pyarrow as pa
import pytest

from ringfence_governance import key_file, key_store, seal
from ringfence_governance.errors import RingfenceError, StoreCorrupt
from ringfence_governance.key_file import MasterKey
from ringfence_governance.key_local import KeyFile
from ringfence_governance.key_store import KeyStore
from ringfence_governance.keyrings import Keyring, Standing
from ringfence_governance.labels import LabelEntry
from ringfence_governance.rows import cell
from ringfence_governance.table_schemas import TableChange, moved

from .worlds import World, database, draft, label, open_world
from .writings import cipher_in, cipher_of, name_of, run_of

HAL, BOB = "acme/user:hal", "acme/user:bob"


def wrapped(world: World, table: str = "document_keys") -> list[tuple[object, ...]]:
    with database(world.keys / "keys.db") as opened:
        return opened.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def execute(world: World, statement: str, *values: object) -> None:
    with database(world.keys / "keys.db") as opened:
        assert opened.execute(statement, values).rowcount == 1


def entry_of(world: World, name: str) -> LabelEntry:
    return world.ground.moment().table.by_id[name]


def test_every_document_has_one_key_and_every_label_one(filled: World) -> None:
    assert len(wrapped(filled)) == 6
    assert len(wrapped(filled, "label_keys")) == len(filled.ground.moment().table.entries)
    # Only an indexed store has one for blinding: that is how its kind is bound to the keys.
    blinding = {"blinding"} if filled.ground.tables.mode.indexed else set()
    assert {name for name, *_ in wrapped(filled, "store_keys")} == blinding | {
        "as_of",
        "audit checkpoint",
        "catalog",
        "digest",
        "query",
    }


def test_a_row_whose_atom_was_swapped_in_the_table_does_not_open(filled: World) -> None:
    """Who can write the files, but has no key, moves a row under a label he may read."""
    ground = filled.ground
    payroll = filled.see(HAL).ids["pay/salaries.txt"]
    publication, project = ground.moment().publication, entry_of(filled, "acme/label:project")
    chunks = ground.tables.ids_by("chunks", publication.versions["chunks"], "document_id", [payroll])[payroll]
    versions = ground.tables.write(
        publication.versions,
        {
            "documents": TableChange(atoms=moved({payroll: project.atom})),
            "chunks": TableChange(atoms=moved(dict.fromkeys(chunks, project.atom))),
        },
    )
    with database(filled.path / "catalog.db") as opened:
        opened.execute("UPDATE publications SET versions = ?", [str(dict(versions)).replace("'", '"')])
    again = filled.reopened()
    with pytest.raises(StoreCorrupt, match="does not open: no key for its document under its label"):
        again.see(BOB)
    assert again.see(HAL).paths == ("public.txt",)


def test_a_document_key_moved_under_another_atom_does_not_open(filled: World) -> None:
    payroll = filled.see(HAL).ids["pay/salaries.txt"]
    project = entry_of(filled, "acme/label:project")
    execute(filled, "UPDATE document_keys SET atom = ? WHERE document_id = ?", project.atom, payroll)
    with pytest.raises(StoreCorrupt):
        cipher_of(filled, payroll, project)


@pytest.mark.parametrize("field", ["document_id", "run_id", "generation", "wrapped"])
def test_a_document_key_is_bound_to_document_run_generation_and_every_byte(filled: World, field: str) -> None:
    payroll = filled.see(HAL).ids["pay/salaries.txt"]
    entry = entry_of(filled, "acme/label:payroll")
    changed: dict[str, object] = {
        "document_id": "f" * 32,
        "run_id": "e" * 32,
        "generation": 2,
        "wrapped": b"\0" * 60,
    }
    run_id = run_of(filled, payroll)
    execute(filled, f"UPDATE document_keys SET {field} = ? WHERE document_id = ?", changed[field], payroll)
    keyring = filled.ground.keys.keyring([entry])
    with pytest.raises(StoreCorrupt):
        keyring.cipher(
            *[
                str(changed[each]) if each == field else own
                for each, own in (("document_id", payroll), ("run_id", run_id))
            ],
            entry.atom,
        )


def test_a_document_key_is_bound_to_its_atom_even_where_two_atoms_had_one_label_key(filled: World) -> None:
    ground, payroll = filled.ground, entry_of(filled, "acme/label:payroll")
    document = filled.see(HAL).ids["pay/salaries.txt"]
    own = ground.keys.keyring([payroll])
    label_key, key = own._label_keys[payroll.atom], own._wrapped[name_of(filled, document, payroll)]
    moved = key._replace(atom=99)
    keyring = Keyring(ground.store_id, {payroll.atom: label_key, 99: label_key}, {moved.name: moved})
    with pytest.raises(StoreCorrupt):
        keyring.cipher(document, key.run_id, 99)
    whole = Keyring(ground.store_id, {payroll.atom: label_key}, {key.name: key})
    assert whole.cipher(document, key.run_id, payroll.atom)


def test_the_key_of_one_label_in_place_of_another_opens_nothing(filled: World) -> None:
    keys = {name: value for name, _, value in wrapped(filled, "label_keys")}
    payroll, project = (filled.ground.keys._lookup(f"acme/label:{name}") for name in ("payroll", "project"))
    entry, document = entry_of(filled, "acme/label:payroll"), filled.see(HAL).ids["pay/salaries.txt"]
    execute(filled, "UPDATE label_keys SET wrapped = ? WHERE label_digest = ?", keys[project], payroll)
    with pytest.raises(StoreCorrupt):
        cipher_of(filled, document, entry)


def test_one_store_key_in_place_of_another_opens_nothing(filled: World) -> None:
    keys = {name: value for name, _, value in wrapped(filled, "store_keys")}
    execute(filled, "UPDATE store_keys SET wrapped = ? WHERE purpose = 'as_of'", keys["query"])
    with pytest.raises(StoreCorrupt):
        filled.ground.keys.store_key("as_of")


def test_a_keyring_holds_only_the_keys_of_its_atoms(filled: World) -> None:
    entries = filled.ground.moment().table.entries
    payroll, project = entry_of(filled, "acme/label:payroll"), entry_of(filled, "acme/label:project")
    keyring = filled.ground.keys.keyring([payroll])
    assert set(keyring._label_keys) == {payroll.atom}
    assert {name.atom for name in keyring._wrapped} == {payroll.atom}
    document = filled.see(BOB).ids["project.txt"]
    for atom in entries:
        with pytest.raises(StoreCorrupt, match="no key for its document under its label"):
            cipher_in(filled, keyring, document, atom)
    assert cipher_of(filled, document, project)


def test_a_keyring_of_an_earlier_time_opens_what_still_stands_and_is_covered_alone(filled: World) -> None:
    project, then = entry_of(filled, "acme/label:project"), 1_000_001
    seen = filled.see("acme/user:lee").ids
    document = seen["project.txt"]
    run_id, keys = run_of(filled, document), filled.ground.keys
    standing = Standing({document: (project.atom, run_id)}, {})
    keyring = keys.keyring([project], standing=standing, covered={then, project.atom})
    assert keyring.cipher(document, run_id, then)
    for other, run, atom in (
        (document, run_id, then + 1),
        (document, "0" * 32, then),
        ("0" * 32, run_id, then),
        ("0" * 32, run_id, project.atom),
    ):
        with pytest.raises(StoreCorrupt):
            keyring.cipher(other, run, atom)
    # Whatever stands there: a label whose key is not in the ring opens nothing.
    with pytest.raises(StoreCorrupt):
        keys.keyring([], standing=standing, covered={then}).cipher(document, run_id, then)


def test_a_keyring_for_some_documents_holds_no_other_document(filled: World) -> None:
    seen = filled.see("acme/user:dora").ids
    entries = list(filled.ground.moment().table.entries.values())
    keyring = filled.ground.keys.keyring(entries, [seen["project.txt"]])
    assert {name.document_id for name in keyring._wrapped} == {seen["project.txt"]}


def test_many_documents_are_read_in_one_scan_and_are_the_same(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = list(filled.ground.moment().table.entries.values())
    ids = list(filled.see("acme/user:dora").documents)
    few = filled.ground.keys.keyring(entries, ids)._wrapped
    monkeypatch.setattr("ringfence_governance.kept_wraps.FEW_KEYS", 0)
    assert filled.ground.keys.keyring(entries, ids)._wrapped == few
    assert set(filled.ground.keys.keyring(entries)._label_keys) == {entry.atom for entry in entries}


def test_a_compound_labels_document_opens_with_the_keys_of_all_parts_and_no_fewer(world: World) -> None:
    labels = [label(f"acme/user:{name}", "acme/user:ada") for name in "xyz"]
    parents = world.put(*(draft(f"{n}.txt", f"text {n}", one) for n, one in enumerate(labels)))
    (derived,) = world.put(draft("sum.txt", "all three", labels[0], parents=parents[1:]))
    table = world.ground.moment().table
    (compound,) = [entry for entry in table.entries.values() if entry.parts]
    assert len(compound.parts) == 3
    assert world.ground.keys._lookup(compound.label_id) not in {
        name for name, *_ in wrapped(world, "label_keys")
    }
    assert cipher_of(world, derived, compound)
    for size in (1, 2):
        for parts in itertools.combinations(sorted(compound.parts), size):
            fewer = LabelEntry(compound.atom, compound.label_id, None, frozenset(parts))
            with pytest.raises(StoreCorrupt):
                cipher_in(world, world.ground.keys.keyring([fewer]), derived, compound.atom)


def test_equal_labels_share_a_key_and_documents_never_do(world: World) -> None:
    one, two = world.put(draft("a", "same words", label()), draft("b", "same words", label()))
    entries = list(world.ground.moment().table.entries.values())
    keyring = world.ground.keys.keyring(entries)
    (atom,) = {name.atom for name in keyring._wrapped if name.document_id in (one, two)}
    first, second = (cipher_in(world, keyring, each, atom) for each in (one, two))
    with pytest.raises(StoreCorrupt):
        second.open(first.seal(b"words", b"place"), b"place")


def test_one_cell_does_not_open_in_another_row_or_column(filled: World) -> None:
    """Two cells of one document share a key: only their place tells them apart."""
    ground = filled.ground
    entry = entry_of(filled, "acme/label:payroll")
    document = filled.see(HAL).ids["pay/salaries.txt"]
    version = ground.moment().publication.versions["chunks"]
    rows: pa.Table = ground.tables.scan(
        "chunks",
        version,
        [entry.atom],
        ["text", "metadata", "vector"],
        ids=[document],
        id_column="document_id",
    )
    first, second = rows.to_pylist()
    cipher = cipher_of(filled, document, entry)
    own = cell(ground.store_id, "chunks", document, first["id"], "text")
    assert cipher.open_packed(first["text"], own)
    for column, row in [("text", second), ("metadata", first), ("vector", first)]:
        with pytest.raises(StoreCorrupt):
            cipher.open(row[column], own)


def test_deleted_wraps_are_overwritten_in_the_database_file(filled: World) -> None:
    """SQLite would leave a deleted row's bytes in a free page; `secure_delete` overwrites them."""
    payroll = filled.see(HAL).ids["pay/salaries.txt"]
    (blob,) = [bytes(row[5]) for row in wrapped(filled) if row[0] == payroll]  # type: ignore[arg-type]
    filled.ground.keys.forget([name_of(filled, payroll, entry_of(filled, "acme/label:payroll"))])
    filled.door.close()
    left = [file.name for file in filled.keys.iterdir() if blob in file.read_bytes()]
    assert left == []


def test_deleted_wraps_are_not_said_to_be_gone_while_a_reader_holds_an_older_state(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store, "CLEARED_WITHIN_S", 0.1)
    keys, payroll = filled.ground.keys, filled.see(HAL).ids["pay/salaries.txt"]
    (wrap,) = keys.wraps_of([payroll])
    with database(filled.keys / "keys.db") as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM document_keys").fetchone()
        assert not keys.forget([wrap.name])
        assert not keys.cleared()
        assert any(wrap.wrapped in file.read_bytes() for file in filled.keys.glob("keys.db*"))
        reader.execute("COMMIT")
    assert keys.cleared()
    assert not any(wrap.wrapped in file.read_bytes() for file in filled.keys.glob("keys.db*"))


def test_a_wrap_is_no_key_in_clear(filled: World) -> None:
    ground = filled.ground
    secrets = [
        *(key.secret for key in key_file.read(filled.keys, ground.store_id)),
        *(ground.keys.store_key(purpose) for purpose in ("as_of", "query")),
    ]
    everything = b"".join(file.read_bytes() for file in filled.keys.glob("keys.db*"))
    assert not [secret for secret in secrets if secret in everything]


def test_a_key_database_older_than_the_store_is_named(filled: World) -> None:
    execute(
        filled,
        "DELETE FROM label_keys WHERE label_digest = ?",
        filled.ground.keys._lookup("acme/label:payroll"),
    )
    with pytest.raises(StoreCorrupt, match="a label has no key"):
        filled.see(HAL)


def test_a_keyring_and_a_key_store_survive_no_closed_key_file(filled: World, tmp_path: Path) -> None:
    """A copied key database opens nothing without the master key beside it."""
    store_id = filled.ground.store_id
    key_file.write(tmp_path, MasterKey(store_id, 1, b"\1" * seal.KEY_BYTES))
    provider = KeyFile(tmp_path, store_id, filled.ambient)
    store = KeyStore(filled.keys / "keys.db", store_id, provider, filled.ambient)
    with pytest.raises(RingfenceError):
        store.keyring([entry_of(filled, "acme/label:payroll")])
    store.close()


def test_all_is_as_before_after_the_store_was_closed_and_opened(filled: World) -> None:
    before = filled.see(HAL)
    filled.door.close()
    assert open_world(filled.folder, filled.clock).see(HAL) == before
