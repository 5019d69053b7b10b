"""What an application meets: open, ingest, ask, explain, change, and the errors on the way."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import ringfence

ADA, BOB, EVE = "acme/user:ada", "acme/user:bob", "acme/user:eve"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ringfence.Store]:
    with ringfence.create(tmp_path / "store", admin=ADA, embedder="hash") as opened:
        documents = [
            ringfence.Document("offer.txt", "We offer the pump for a low price.", label=label(BOB)),
            ringfence.Document("secret.txt", "The floor price of the pump is lower still.", label=label(ADA)),
        ]
        summary = opened.ingest(documents, as_user=ADA)
        assert summary.added == 2
        yield opened


def label(owner: str, *readers: str) -> ringfence.Label:
    return ringfence.Label.from_mapping({"owner": owner, "readers": list(readers)})


def paths(found: ringfence.SearchResult) -> set[str]:
    return {hit.source.path for hit in found}


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
def test_two_readers_get_two_answers(store: ringfence.Store, mode: str) -> None:
    assert paths(store.as_user(ADA).search("price of the pump", mode=mode)) == {"secret.txt"}
    assert paths(store.as_user(BOB).search("price of the pump", mode=mode)) == {"offer.txt"}
    assert paths(store.as_user(EVE).search("price of the pump", mode=mode)) == set()


def test_a_passage_is_the_slice_of_the_text_it_says_it_is(store: ringfence.Store) -> None:
    reader = store.as_user(BOB)
    hit = reader.search("pump")[0]
    text = reader.text(hit).text
    assert text[hit.source.start : hit.source.end] == hit.text


def test_a_document_is_named_by_id_by_hit_or_by_its_path(store: ringfence.Store) -> None:
    reader = store.as_user(BOB)
    document = reader.list()[0]
    assert reader.text(document) == reader.text(document.id) == reader.text("offer.txt")
    assert reader.why("offer.txt")["decision"] == "allow"


def test_an_unknown_path_and_an_unreadable_one_are_one_answer(store: ringfence.Store) -> None:
    messages = set()
    for name in ["secret.txt", "nothing.txt", "0" * 32]:
        with pytest.raises(ringfence.NotReadable) as caught:
            store.as_user(BOB).text(name)
        messages.add(str(caught.value))
    assert len(messages) == 1


@pytest.mark.parametrize("query", ["", "   ", "\n"])
def test_an_empty_query_is_refused(store: ringfence.Store, query: str) -> None:
    with pytest.raises(ringfence.InvalidInput, match="query: found an empty text; expected"):
        store.as_user(BOB).search(query)


@pytest.mark.parametrize("k", [0, -1, 1001, 2.5, True])
def test_a_k_out_of_range_is_refused(store: ringfence.Store, k: object) -> None:
    with pytest.raises(ringfence.InvalidInput, match="k: found"):
        store.as_user(BOB).search("pump", k=k)  # type: ignore[arg-type]


def test_a_grant_is_in_force_for_the_next_question_and_gone_after_revoke(store: ringfence.Store) -> None:
    admin, reader = store.as_user(ADA), store.as_user(EVE)
    admin.define_label("acme/label:prices", label(BOB), why="prices have a name")
    store.ingest([ringfence.Document("list.txt", "The list price.")], as_user=ADA, label="acme/label:prices")
    assert paths(reader.search("price")) == set()
    assert admin.grant(EVE, "read", "acme/label:prices", why="she asked")
    assert paths(reader.search("price")) == {"list.txt"}
    assert admin.revoke(EVE, "read", "acme/label:prices", why="she left") == 1
    assert paths(reader.search("price")) == set()


@pytest.mark.parametrize("field", ["valid_from", "valid_until", "purpose"])
def test_an_empty_bound_is_no_unbounded_grant(store: ringfence.Store, field: str) -> None:
    admin = store.as_user(ADA)
    with pytest.raises(ringfence.PolicyRefused):
        admin.grant(EVE, "read", "*", why="until a time that is not filled in", **{field: ""})  # type: ignore[arg-type]
    assert not [entry for entry in admin.policy() if EVE in entry["row"]]
    assert len(store.as_user(EVE).list()) == 0


def test_who_may_not_administer_changes_nothing(store: ringfence.Store) -> None:
    with pytest.raises(ringfence.Refused):
        store.as_user(BOB).grant(BOB, "read", "*", why="I want it")
    assert len(store.as_user(BOB).list()) == 1


def test_a_label_name_is_shown_to_its_owner_and_to_no_other_reader(store: ringfence.Store) -> None:
    store.as_user(ADA).define_label("acme/label:shared", label(BOB, EVE), why="shared")
    store.ingest([ringfence.Document("s.txt", "shared words")], as_user=ADA, label="acme/label:shared")
    assert store.as_user(BOB).search("shared words", k=1, mode="text")[0].label == "acme/label:shared"
    assert store.as_user(EVE).search("shared words", k=1, mode="text")[0].label is None


def test_results_come_as_arrow_and_pandas(store: ringfence.Store) -> None:
    found = store.as_user(BOB).search("pump")
    table = found.to_arrow()
    assert table.column_names[:4] == ["rank", "score", "id", "document"]
    assert table["path"].to_pylist() == ["offer.txt"]
    assert found.to_pandas()["text"].tolist() == [found[0].text]


def test_a_store_is_opened_again_with_the_model_of_its_vectors(
    store: ringfence.Store, tmp_path: Path
) -> None:
    with ringfence.open(tmp_path / "store") as again:
        assert again.key_path is None
        assert paths(again.as_user(BOB).search("pump")) == {"offer.txt"}


def test_a_policy_for_a_standing_store_must_be_the_one_it_began_with(tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    rows = "p, *, *, *, read, owner, *, -, -, allow\n"
    (folder / "policy.csv").write_text(rows)
    ringfence.create(tmp_path / "s", policy=folder, admin=ADA, embedder="hash").close()
    ringfence.open(tmp_path / "s", policy=folder).close()
    (folder / "policy.csv").write_text(rows + "p, acme/user:eve, acme, *, read, any, *, -, -, allow\n")
    with pytest.raises(ringfence.InvalidInput, match="is not the one the store was made with"):
        ringfence.open(tmp_path / "s", policy=folder)


def test_changed_files_are_applied_to_a_standing_store(store: ringfence.Store, tmp_path: Path) -> None:
    folder = tmp_path / "policy"
    folder.mkdir()
    rows = "p, *, *, *, read, owner, *, -, -, allow\np, acme/user:eve, acme, *, read, any, *, -, -, allow\n"
    (folder / "policy.csv").write_text(rows)
    ada = store.as_user(ADA)
    told = ada.diff_policy(str(folder))
    assert {pair["subject"] for pair in told["opens"]} == {EVE}
    assert paths(store.as_user(EVE).search("pump")) == set()
    done = ada.apply_policy(folder, why="eve helps out", ticket="T-1")
    assert done["added"] == ["p, acme/user:eve, acme, *, read, any, *, -, -, allow"]
    assert paths(store.as_user(EVE).search("pump")) == {"offer.txt", "secret.txt"}
    assert not ada.apply_policy(folder, why="again")["changed"]
    with pytest.raises(ringfence.Refused):
        store.as_user(EVE).apply_policy(folder, why="mine")


def test_a_label_that_is_redefined_or_expires_goes_by_it_at_once(store: ringfence.Store) -> None:
    ada = store.as_user(ADA)
    ada.define_label("acme/label:shared", label(BOB, EVE), why="shared")
    store.ingest([ringfence.Document("s.txt", "shared words")], as_user=ADA, label="acme/label:shared")
    assert ada.redefine_label("acme/label:shared", label(BOB), why="eve left")
    assert not ada.redefine_label("acme/label:shared", label(BOB), why="again")
    assert paths(store.as_user(EVE).search("shared words", mode="text")) == set()
    with pytest.raises(ringfence.Refused, match="may not lower this label"):
        ada.redefine_label("acme/label:shared", label(BOB, EVE), why="eve is back")
    assert ada.expire_label("acme/label:shared", why="over")
    assert "s.txt" not in paths(store.as_user(BOB).search("shared words", mode="text"))
    assert [each["name"] for each in ada.labels()] == ["acme/label:shared"]
    changes = [each["change"] for each in ada.label_history("acme/label:shared")]
    assert changes == ["label_defined", "label_redefined", "label_expired"]


def test_another_model_than_the_stores_is_refused(tmp_path: Path) -> None:
    class Other:
        @property
        def model(self) -> object:
            from ringfence_governance.vector_models import VectorModel

            return VectorModel("other", "0" * 64, 3)

        def embed(self, texts: list[str]) -> object:
            import numpy as np

            return np.ones((len(texts), 3), np.float32) / np.sqrt(np.float32(3))

    document = [ringfence.Document("a.txt", "some words")]
    with ringfence.create(tmp_path / "s", admin=ADA, embedder="hash") as made:
        made.ingest(document, as_user=ADA)
    with (
        ringfence.open(tmp_path / "s", embedder=Other()) as again,  # type: ignore[arg-type]
        pytest.raises(ringfence.StoreError, match="expected the store's own"),
    ):
        again.ingest(document, as_user=ADA)


def test_nothing_that_holds_the_store_can_be_copied_or_pickled(store: ringfence.Store) -> None:
    for held in (store, store.as_user(BOB)):
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled"):
                attempt(held)


def test_an_error_leaves_without_what_it_saw_inside(store: ringfence.Store) -> None:
    with pytest.raises(ringfence.NotReadable) as caught:
        store.as_user(BOB).text("secret.txt")
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    frames = []
    trace = caught.value.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    assert not [name for name in frames if "governance" in name or "retrieval" in name]


@pytest.mark.parametrize(
    "name", ["acme/user:Ada", "ada", "acme/user:a b", "acme/group:staff", "", "acme/user:аda"]
)
def test_a_name_that_is_not_canonical_is_an_error_and_an_unknown_one_is_not(
    store: ringfence.Store, name: str
) -> None:
    with pytest.raises(ringfence.InvalidInput, match="found"):
        store.as_user(name)
    assert len(store.as_user("borealis/user:zoe").list()) == 0
