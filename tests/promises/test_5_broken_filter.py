"""Promise 5, from within: a row that came past the filter opens for nobody who was not granted it.

The filter is broken here as a whole: Lance's mask, the choice of resident blocks and the checks of what came back are
gone, so every scan returns every row. What is left are the keys, and Casbin asked once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from itertools import product
from typing import Any

import pyarrow as pa
import pytest

import ringfence
from ringfence.reader import Reader
from ringfence_governance import block_opening, rows
from ringfence_governance.atom_sets import AtomSet
from ringfence_governance.errors import StoreCorrupt
from ringfence_governance.key_store import Keyring, KeyStore
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.lance_tables import LanceTables
from ringfence_governance.seal import Cipher

from .seeded_store import Page, SeededStore, bundle

DORA, RITA, INGESTER, GHOST = "acme/user:dora", "acme/user:rita", "acme/user:ingester", "acme/user:ghost"
HIDDEN, SHARED = "acme/label:hidden", "acme/label:shared"
SECRET, OPEN = "the kestrelword of the takeover", "the pump leaks at the seal"
SEALED = {"documents": ("metadata", "text"), "chunks": ("metadata", "text", "vector", "terms")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeededStore]:
    """A store with one document for both readers, one for Dora alone, and one of Rita's own."""
    labels = [
        NamedLabel(HIDDEN, Label("acme", DORA)),
        NamedLabel(SHARED, Label("acme", DORA, frozenset({RITA}))),
    ]
    store = SeededStore.create(tmp_path_factory.mktemp("broken"), bundle([], labels), INGESTER)
    pages = [
        Page("hidden/kestrelpath.txt", SECRET, HIDDEN, title="kestreltitle"),
        Page("shared.txt", OPEN, SHARED),
        Page("own.txt", OPEN, Label("acme", RITA)),
    ]
    store.write(INGESTER, pages)
    yield store
    store.close()


def break_the_filter(patch: pytest.MonkeyPatch) -> None:
    """Let every scan return every row that its ids do not rule out, whatever the grant."""

    def everything(
        self: LanceTables,
        name: str,
        version: int,
        atoms: Collection[int],
        columns: Collection[str],
        *,
        ids: Collection[str] | None = None,
        id_column: str = "id",
    ) -> pa.Table:
        table = self._open(name, version).to_table(columns=list(dict.fromkeys(["id", "atom", *columns])))
        keep = [ids is None or value in ids for value in table[id_column].to_pylist()]
        return table.filter(pa.array(keep, pa.bool_()))

    real = LanceTables.parts
    patch.setattr(LanceTables, "scan", everything)

    def every(tables: LanceTables, name: str, version: int, _: object) -> Any:
        fragments = tables.map_of(name, version).fragments
        return real(
            tables, name, version, AtomSet.of({int(atom) for each in fragments for atom in each.atoms})
        )

    patch.setattr(LanceTables, "parts", every)
    patch.setattr(LanceTables, "count", lambda self, name, version, _: self.rows(name, version))
    patch.setattr(LanceTables, "_refuse_other", lambda *_: None)
    patch.setattr(block_opening, "refuse_outside", lambda *_: None)


VERBS: dict[str, Callable[[Reader, str], Any]] = {
    "search vector": lambda reader, _: reader.search("kestrelword", mode="vector"),
    "search text": lambda reader, _: reader.search("kestrelword", mode="text"),
    "search hybrid": lambda reader, _: reader.search("pump"),
    "search k=1": lambda reader, _: reader.search("pump", k=1),
    "search where": lambda reader, _: reader.search(
        "pump", where=ringfence.field("path").startswith("hidden/")
    ),
    "search facets": lambda reader, _: reader.search("pump", 1, group_by="document", facets=["media_type"]),
    "search many": lambda reader, _: [hit for each in reader.search_many(["pump"]) for hit in each],
    "search reranked": lambda reader, _: reader.search("pump", 1, rerank=5),
    "context": lambda reader, _: reader.context("pump"),
    "context reranked": lambda reader, _: reader.context("pump", k=1, rerank=5),
    "list": lambda reader, _: reader.list(),
    "text": lambda reader, hidden: reader.text(hidden),
    "text by path": lambda reader, _: reader.text("hidden/kestrelpath.txt"),
    "text of a path of his own": lambda reader, _: reader.text("own.txt"),
    "why": lambda reader, hidden: reader.why(hidden),
}
"""Every verb by which something of a document leaves."""


@pytest.mark.parametrize("who", [RITA, GHOST])
@pytest.mark.parametrize("verb", VERBS)
def test_with_the_filter_broken_nothing_leaves_and_the_log_has_an_alarm(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch, verb: str, who: str
) -> None:
    hidden = store.written["files/hidden/kestrelpath.txt"]
    break_the_filter(monkeypatch)
    ground(store).resident.clear()
    if who == GHOST and verb.startswith(("search", "context")):
        # Who may read nothing is answered before any storage is touched.
        assert not list(VERBS[verb](store.reader(who), hidden))
        return
    with pytest.raises(StoreCorrupt) as caught:
        VERBS[verb](store.reader(who), hidden)
    told = f"{caught.value} {caught.value!r} {vars(caught.value)}"
    assert "kestrel" not in told
    assert hidden not in told
    record = records(store)[-1]
    assert (record["outcome"], record["rows"]) == ("alarm", [])
    assert who in json.dumps(record["chain"])


def test_with_the_filter_broken_no_hidden_bytes_are_looked_at_though_others_have_them_open(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of which bytes a document is needs no key once it was opened."""
    reader, own = store.reader(RITA), store.written["files/own.txt"]
    hidden = store.written["files/hidden/kestrelpath.txt"]
    assert store.reader(DORA).text(hidden).text
    break_the_filter(monkeypatch)
    for text in ("A pump of mine.", store.reader(DORA).text(hidden).text):
        with pytest.raises(StoreCorrupt):
            reader.register_answer(text, [own])


def test_the_filter_is_broken_by_that(store: SeededStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nothing above says anything: with every key given out too, the hidden row is there and opens."""
    break_the_filter(monkeypatch)
    every_key(store, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("ringfence_governance.reading._recheck", lambda *_: None)
        paths = {document.path for document in store.reader(RITA).list()}
        ground(store).resident.clear()
        hits = {hit.source.path for hit in store.reader(RITA).search("kestrelword", mode="text")}
    assert "hidden/kestrelpath.txt" in paths
    assert hits == {"hidden/kestrelpath.txt"}
    # And the last guard: Casbin, asked once more.
    with pytest.raises(ringfence.RingfenceError, match="not allowed when asked again"):
        store.reader(RITA).list()
    with pytest.raises(ringfence.RingfenceError, match="not allowed when asked again"):
        store.reader(RITA).search("kestrelword", mode="text")
    ground(store).resident.clear()


def every_key(store: SeededStore, patch: pytest.MonkeyPatch) -> None:
    real = KeyStore.keyring
    everything = list(ground(store).moment().table.entries.values())
    patch.setattr(KeyStore, "keyring", lambda self, *_, **__: real(self, everything))


def test_a_request_that_met_a_hidden_row_leaves_nothing_of_its_own_rows_either(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not partially: the rows that were granted do not leave beside one that was not."""
    assert len(store.reader(RITA).search("pump")) == 2
    before = len(records(store))
    break_the_filter(monkeypatch)
    ground(store).resident.clear()
    with pytest.raises(StoreCorrupt):
        store.reader(RITA).search("pump")
    assert [record["outcome"] for record in records(store)[before:]] == ["alarm"]


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in SEALED for column in SEALED[table]]
)
@pytest.mark.parametrize("claimed", ["its own atom", "the readers' atom"])
def test_no_key_a_session_holds_opens_any_sealed_value_of_a_hidden_row(
    store: SeededStore, table: str, column: str, claimed: str
) -> None:
    """Texts, vectors, terms and metadata of documents and chunks, each tried with every key of the reader's grant."""
    inside = ground(store)
    grant = inside.grant(store.reader(RITA).subject, "read")
    shown = inside.tables._open(table, grant.publication.versions[table]).to_table().to_pylist()
    of_chunks = table == "chunks"
    granted = sorted(grant.atoms & {row["atom"] for row in shown})
    assert len(granted) == 2
    everywhere = [row["document_id" if of_chunks else "id"] for row in shown]
    keyring = inside.keys.keyring([grant.table.entries[atom] for atom in granted], everywhere)
    hidden = [row for row in shown if row["atom"] not in grant.atoms]
    assert hidden
    for row in hidden:
        document_id = row["document_id"] if of_chunks else row["id"]
        for atom in [row["atom"]] if claimed == "its own atom" else granted:
            with pytest.raises(StoreCorrupt, match="no key for its document under its label"):
                keyring.cipher(document_id, row["run_id"], atom)
    for row, (name, key) in product(hidden, keyring._wrapped.items()):
        document_id = row["document_id"] if of_chunks else row["id"]
        place = rows.cell(inside.store_id, table, document_id, row["id"], column)
        with pytest.raises(StoreCorrupt, match="does not open"):
            keyring.cipher(name.document_id, key.run_id, key.atom).open(row[column], place)
    whole: Keyring = inside.keys.keyring(list(grant.table.entries.values()), everywhere)
    for row in hidden:
        document_id = row["document_id"] if of_chunks else row["id"]
        place = rows.cell(inside.store_id, table, document_id, row["id"], column)
        assert whole.cipher(document_id, row["run_id"], row["atom"]).open(row[column], place)


@pytest.mark.parametrize("column", ["text", "metadata"])
def test_a_value_that_does_not_open_on_the_way_to_the_hits_is_an_alarm_too(
    store: SeededStore, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """All are opened before the record is made: the log does not say that they left."""
    real = Cipher.open_packed

    def broken(cipher: Cipher, sealed: bytes, place: bytes) -> bytes:
        if b"chunks" in place and place.endswith(column.encode()):
            raise StoreCorrupt("a sealed value does not open under the key of its label and document")
        return real(cipher, sealed, place)

    monkeypatch.setattr(Cipher, "open_packed", broken)
    ground(store).resident.clear()
    before = len(records(store))
    with pytest.raises(StoreCorrupt):
        store.reader(RITA).search("pump")
    assert [record["outcome"] for record in records(store)[before:]] == ["alarm"]


def ground(store: SeededStore) -> Any:
    """What lies behind the door."""
    return store.door._Door__ground  # type: ignore[attr-defined]


def records(store: SeededStore) -> list[dict[str, Any]]:
    lines = [
        line
        for file in (store.path / "audit").glob("*.jsonl")
        for line in file.read_text("utf-8").splitlines()
    ]
    return sorted(
        map(json.loads, lines), key=lambda record: (record["at"], record["segment"], record["number"])
    )
