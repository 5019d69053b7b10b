"""The comparison with other engines runs, finds no row that may not be read, and names what it left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .runs import REPO, python, run


@pytest.fixture
def question_sets(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers import question_sets, vector_sets

    return question_sets, vector_sets.synthetic(1000, (10.0, 100.0))


def test_a_quick_run_leaks_nothing_and_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the tests' folders are, its stores need not wait for a disk.
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    out, page = tmp_path / "results.json", REPO / "bench" / "RESULTS.md"
    before = page.read_bytes() if page.exists() else b""
    done = run("bench.peers", "--quick", "--out", str(out), python=python())
    assert done.returncode == 0, done.stderr
    assert (page.read_bytes() if page.exists() else b"") == before
    results: dict[str, Any] = json.loads(out.read_text("utf-8"))
    found = results["sets"]["synthetic"]
    assert [cell["kind"] for cell in found["cells"]] == ["uncorrelated"] * 2 + ["positive", "negative"]
    for name in ("ringfence", "ungoverned", "lancedb", "over-fetch", "list-then-in"):
        readers = found["engines"][name]["readers"]
        assert len(readers) == len(found["cells"]), found["engines"][name]
        assert not sum(each["unreadable"] for each in readers.values())
    ours = found["engines"]["ringfence"]["readers"].values()
    assert {each["recall"] for each in ours} == {1.0}
    assert not sum(each["short"] for each in ours)
    hidden = found["engines"]["ringfence"]["hidden"]
    assert hidden == {"questions": hidden["questions"], "answers": 0, "scores": 0}
    assert hidden["questions"]
    for group in ("pgvector", "qdrant", "zvec", "faiss"):
        assert "missing" in found["groups"][group]
        assert f"- `{group}`: left out of this run" in done.stdout
    assert_words(results["words"]["synthetic"], done.stdout)


def assert_words(found: dict[str, Any], page: str) -> None:
    """By words and by both: our answers are the reference's and keep still, those of raw BM25 move."""
    assert [cell["share"] for cell in found["cells"]] == [10.0, 100.0]
    for engine, about in found["engines"].items():
        assert len(about["readers"]) == len(about["hidden"]) == 2, about
        assert not sum(each["unreadable"] for each in about["readers"].values())
        for hidden in about["hidden"].values():
            assert hidden["questions"]
            if engine.startswith("ringfence"):
                assert not hidden["answers"] + hidden["scores"]
    for mode in ("text", "hybrid"):
        ours = found["engines"][f"ringfence-{mode}"]
        assert ours["held_to_reference"] == sum(each["questions"] for each in ours["hidden"].values())
        assert not sum(each["short"] for each in ours["readers"].values())
        assert not found["engines"][f"lancedb-{mode}"]["hidden"]["1"]["answers"]
    assert found["engines"]["lancedb-text"]["hidden"]["0"]["scores"]
    for title in ("By words", "By words and meaning"):
        assert f"#### {title}: answers, and answers with scores, that hidden rows change" in page


def test_the_judge_counts_what_is_wrong_and_what_may_not_be_read(question_sets: Any) -> None:
    """An engine that gives what it likes is caught: the judge knows the rows, not the engine."""
    module, made = question_sets
    judge = module.Judge(made, 0, "reported")
    may_read = made.may_read(0)
    scores = np.where(may_read, made.vectors @ made.asked(0, "reported")[0], -2.0)
    best = np.argsort(-scores)[: judge.wanted(0)]
    assert judge.judged(0, best.tolist()) == (judge.wanted(0), 0)
    hidden = int(np.flatnonzero(~may_read)[0])
    assert judge.judged(0, [*best[:-1].tolist(), hidden]) == (judge.wanted(0) - 1, 1)
    assert judge.judged(0, [int(best[0])] * judge.wanted(0)) == (1, 0)


def test_questions_for_tuning_are_none_of_those_reported(question_sets: Any) -> None:
    _, made = question_sets
    for cell in range(len(made.cells)):
        tuning, reported = made.asked(cell, "tuning"), made.asked(cell, "reported")
        assert not {each.tobytes() for each in tuning} & {each.tobytes() for each in reported}


def test_readers_whose_labels_go_with_nothing_keep_their_questions_and_need_one_store(
    question_sets: Any,
) -> None:
    _, made = question_sets
    one = made.uncorrelated()
    assert (made.columns(), one.columns()) == (2, 1)
    assert [cell.kind for cell in one.cells] == ["uncorrelated"] * 2
    for place, cell in enumerate(one.cells):
        of = made.cells.index(cell)
        assert (one.questions[place] == made.questions[of]).all()
        assert (one.last[place] == made.last[of]).all()


@pytest.mark.parametrize("ending", ["", "-million"])
def test_the_page_is_made_of_the_stored_results_and_drops_nothing(
    monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers.engines import GROUPS
    from bench.peers.page import page

    results = REPO / "bench" / "results" / f"peers{ending}.json"
    stored: dict[str, Any] = json.loads(results.read_text("utf-8"))
    text = page(stored)
    assert text == (REPO / "bench" / f"RESULTS{ending}.md").read_text("utf-8")
    assert f"from [bench/results](results/{results.name})" in text
    assert ("two stores" in text) == (not ending)
    for found in stored["sets"].values():
        assert set(found["groups"]) == set(GROUPS)
        for about in found["engines"].values():
            assert about["title"] in text
            assert len(about["readers"]) == len(found["cells"]) or "failed" in about


def test_the_page_names_what_was_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPO))
    from bench.peers.page import page

    stored: dict[str, Any] = json.loads((REPO / "bench" / "results" / "peers.json").read_text("utf-8"))
    changed = stored["sets"]["synthetic"]
    del changed["engines"]["zvec"]["readers"]["0"], changed["engines"]["faiss"]
    changed["groups"]["faiss"] = {"missing": "not installed: faiss-cpu"}
    assert "- `faiss`: not installed: faiss-cpu" in page(stored)
