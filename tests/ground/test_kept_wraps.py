"""Wrapped keys are kept while nobody commits to their database, and not a question longer."""

from __future__ import annotations

import pytest

from ringfence_governance import key_store
from ringfence_governance.errors import SequenceUnconfirmed, StoreCorrupt
from ringfence_governance.key_store import KeyStore
from ringfence_governance.labels import LabelEntry
from ringfence_governance.seal import Cipher
from ringfence_governance.sqlite_engine import SqliteDatabase

from .worlds import World, database
from .writings import cipher_of, name_of, run_of

LEE = "acme/user:lee"


@pytest.fixture
def project(filled: World) -> tuple[LabelEntry, str]:
    """A label, and a document under it whose key was asked for once: it is kept."""
    entry = filled.ground.moment().table.by_id["acme/label:project"]
    document = filled.see(LEE).ids["project.txt"]
    assert cipher_of(filled, document, entry)
    return entry, document


def test_what_is_kept_is_not_read_again(
    filled: World, project: tuple[LabelEntry, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, document = project
    monkeypatch.setattr(KeyStore, "_read", lambda *_: pytest.fail("the database was read"))
    assert cipher_of(filled, document, entry)


def test_a_key_that_was_destroyed_opens_nothing_in_the_next_question(
    filled: World, project: tuple[LabelEntry, str]
) -> None:
    entry, document = project
    filled.ground.keys.forget([name_of(filled, document, entry)])
    with pytest.raises(StoreCorrupt, match="no key for its document"):
        cipher_of(filled, document, entry)


@pytest.mark.parametrize("table", ["document_keys", "label_keys"])
def test_so_does_one_that_another_process_destroyed(
    filled: World, project: tuple[LabelEntry, str], table: str
) -> None:
    entry, document = project
    with database(filled.keys / "keys.db") as other:
        assert other.execute(f"DELETE FROM {table}").rowcount
    with pytest.raises(StoreCorrupt, match=r"no key for its document|a label has no key"):
        cipher_of(filled, document, entry)


def test_a_key_that_was_opened_is_not_opened_again(
    filled: World, project: tuple[LabelEntry, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, document = project
    monkeypatch.setattr(Cipher, "open", lambda *_: pytest.fail("a key was opened"))
    assert cipher_of(filled, document, entry)


@pytest.mark.parametrize("table", ["document_keys", "label_keys"])
def test_one_that_was_opened_opens_nothing_once_its_wrap_or_its_labels_was_changed(
    filled: World, project: tuple[LabelEntry, str], table: str
) -> None:
    entry, document = project
    with database(filled.keys / "keys.db") as other:
        assert other.execute(f"UPDATE {table} SET wrapped = zeroblob(60)").rowcount
    # The second time from what is kept since the change.
    for _ in range(2):
        with pytest.raises(StoreCorrupt, match="does not open"):
            cipher_of(filled, document, entry)


def test_if_it_cannot_be_learnt_whether_anything_was_committed_the_database_is_read(
    filled: World, project: tuple[LabelEntry, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, document = project

    def unknown(_: SqliteDatabase) -> tuple[int, int]:
        raise SequenceUnconfirmed("keys.db took 9 s")

    run_id = run_of(filled, document)
    filled.ground.keys.forget([])
    monkeypatch.setattr(SqliteDatabase, "mark", unknown)
    read: list[object] = []
    original = KeyStore._read
    monkeypatch.setattr(KeyStore, "_read", lambda *given: (read.append(given), original(*given))[1])
    for _ in range(2):
        assert filled.ground.keys.keyring([entry], [document]).cipher(document, run_id, entry.atom)
    assert len(read) == 2


def test_a_kept_key_of_another_label_or_document_is_in_no_keyring(
    filled: World, project: tuple[LabelEntry, str]
) -> None:
    entry, document = project
    payroll = filled.ground.moment().table.by_id["acme/label:payroll"]
    for entries, ids in (([payroll], [document]), ([entry], ["0" * 32]), ([], [document])):
        ring = filled.ground.keys.keyring(entries, ids)
        assert not ring._wrapped
        assert set(ring._label_keys) == {each.atom for each in entries}


def test_when_too_many_are_kept_all_are_let_go(
    filled: World, project: tuple[LabelEntry, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store.kept_wraps, "DOCUMENTS_KEPT", 1)
    entry, document = project
    kept = filled.ground.keys._kept
    filled.ground.keys.keyring([entry], ["1" * 32])
    assert set(kept._documents) == {"1" * 32}
    # More than may be kept are not, and nothing that is has to go for them.
    filled.ground.keys.keyring([entry], [document, "0" * 32])
    assert set(kept._documents) == {"1" * 32}


def test_keys_that_are_read_in_one_scan_are_kept_too(
    filled: World, project: tuple[LabelEntry, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks open the passages of hundreds of documents at once; the first hits are among them."""
    entry, document = project
    filled.ground.keys._kept.clear()
    monkeypatch.setattr(key_store.kept_wraps, "FEW_KEYS", 0)
    assert cipher_of(filled, document, entry)
    monkeypatch.setattr(KeyStore, "_read", lambda *_: pytest.fail("the database was read"))
    monkeypatch.setattr(Cipher, "open", lambda *_: pytest.fail("a key was opened"))
    assert cipher_of(filled, document, entry)
