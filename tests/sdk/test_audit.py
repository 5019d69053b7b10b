"""A store's lineage, rights and reads in SQL, as an auditor meets them."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

import ringfence

ADA, BOB, OLGA, EVE = (f"acme/user:{name}" for name in ("ada", "bob", "olga", "eve"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audited") / "store"
    with ringfence.create(folder, admin=ADA, embedder="hash") as store:
        label = ringfence.Label.from_mapping({"owner": BOB})
        store.ingest([ringfence.Document("offer.txt", "We offer the pump.", label=label)], as_user=ADA)
        store.as_user(ADA).grant(OLGA, "audit", "*", why="the audit of May")
        store.as_user(BOB).search("pump")
    return folder


def test_an_auditor_asks_a_store_that_stands(path: Path) -> None:
    with ringfence.audit(path, as_user=OLGA) as database:
        (document,) = database.sql("FROM documents")
        assert document["path"] is None
        (reader,) = database.sql("SELECT subject FROM who_can(?)", [document["id"]])
        assert reader == {"subject": BOB}
        assert [row["subject"] for row in database.sql("FROM who_did_read(?)", [document["id"]])] == [BOB]


def test_an_answer_prints_as_a_table_and_is_json(path: Path) -> None:
    with ringfence.audit(path, as_user=OLGA) as database:
        found = database.sql("SELECT range AS n, '<b>' AS x FROM range(30)")
        assert len(found) == 30
        assert repr(found).splitlines()[:2] == ["n | x", "0 | <b>"]
        assert repr(found).splitlines()[-1] == "… and 10 more"
        assert "&lt;b&gt;" in found._repr_html_()
        assert json.loads(json.dumps(found.to_mapping()))["columns"] == ["n", "x"]
        assert f"time={database.time!r}" in repr(database)
        assert database.questions["who_can(asked)"] == "Who may read it now."


def test_who_may_audit_nothing_gets_no_database(path: Path) -> None:
    with pytest.raises(ringfence.Refused):
        ringfence.audit(path, as_user=EVE)


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises((ringfence.StoreError, ringfence.InvalidInput)):
        ringfence.audit(tmp_path / "none", as_user=OLGA)
    assert list(tmp_path.iterdir()) == []


def test_a_database_is_not_pickled_and_after_closing_answers_nothing(path: Path) -> None:
    database = ringfence.audit(path, as_user=OLGA)
    with pytest.raises(TypeError):
        pickle.dumps(database)
    database.close()
    with pytest.raises(ringfence.RingfenceError):
        database.sql("SELECT 1")
