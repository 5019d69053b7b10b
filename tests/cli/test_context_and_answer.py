"""From a question to what goes into a prompt, and from there to an answer that is kept, on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.key_file import keys_home

Call = Callable[..., Any]
CARL, DORA = "acme/user:carl", "acme/user:dora"


def test_what_context_printed_is_what_an_answer_was_made_from(
    call: Call, own_firm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Keys of its own: an answer's key is of no other copy of the store.
    monkeypatch.setenv("RINGFENCE_HOME", str(shutil.copytree(keys_home(), tmp_path / "home")))
    printed = call("context", own_firm, "pump", "--as", CARL, "--json")
    people = call("context", own_firm, "pump", "--as", CARL)
    shown = people.out.split("\n\npassages: ")[0].split("\n")
    assert [line for line in shown if line.startswith("[")] == [
        line for line in printed.json["text"].split("\n") if line.startswith("[")
    ]
    (tmp_path / "context.json").write_text(printed.out, "utf-8")
    (tmp_path / "hits.json").write_text(call("search", own_firm, "pump", "--as", CARL, "--json").out, "utf-8")
    (tmp_path / "answer.md").write_text("Forty pumps, I think.", "utf-8")
    words = ["answer", own_firm, tmp_path / "answer.md", "--as", CARL, "--title", "How many pumps?"]
    chunks = [chunk for passage in printed.json["passages"] for chunk in passage["chunks"]]
    kept = call(*words, "--context", tmp_path / "context.json", "--from", chunks[0], "--json")
    assert (kept.code, kept.json["inputs"]) == (0, len(chunks))
    assert call(*words, "--context", tmp_path / "hits.json", "--json").json["inputs"] == len(chunks)
    found = call("search", own_firm, "forty", "--as", CARL, "--mode", "text", "--json").json["hits"]
    answers = [hit for hit in found if hit["source"]["kind"] == "answer"]
    assert kept.json["answer"] in {hit["document"] for hit in answers}
    assert {hit["source"]["title"] for hit in answers} == {"How many pumps?"}
    assert (
        "an answer registered before"
        in call("context", own_firm, "forty", "--as", CARL, "--mode", "text").out
    )
    # Dora may read none of that.
    refused = call("answer", own_firm, tmp_path / "answer.md", "--from", chunks[0], "--as", DORA, "--json")
    assert (refused.code, refused.json["error"]["type"]) == (1, "NotReadable")


@pytest.mark.parametrize(
    ("content", "option"),
    [
        (b"\xff\xfe\xff", ["--from", "0" * 32]),
        (None, ["--from", "0" * 32]),
        (b"fine", []),
        (b"fine", ["--context", "ANSWER"]),
        (b"{}", ["--context", "ANSWER"]),
        (b'{"passages": [7]}', ["--context", "ANSWER"]),
        (b"fine", ["--context", "/nowhere/at/all"]),
    ],
    ids=["no text", "no file", "of nothing", "no JSON", "no context", "malformed", "no context file"],
)
def test_what_is_no_answer_or_no_context_is_misuse(
    content: bytes | None, option: list[str], call: Call, firm: Path, tmp_path: Path
) -> None:
    answer = tmp_path / "answer.md"
    if content is not None:
        answer.write_bytes(content)
    words = [answer if word == "ANSWER" else word for word in option]
    run = call("answer", firm, answer, *words, "--as", CARL, "--json")
    assert (run.code, list(run.json)) == (2, ["error"])
    assert run.json["error"]["type"] == "InvalidInput"
