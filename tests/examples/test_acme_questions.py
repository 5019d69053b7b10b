"""The demo's questions have the answers it says they have, each reader his own, with the real model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import ringfence

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTIONS = yaml.safe_load((EXAMPLES / "acme" / "questions.yaml").read_text(encoding="utf-8"))
ASKS = [
    pytest.param(question["question"], ask, id=f"{question['id']}-{ask['as'].split(':')[1]}-{number}")
    for question in QUESTIONS["questions"]
    for number, ask in enumerate(question["asks"])
]
EMBEDDER = "minilm-onnx"
"""The default model by the runtime that is ready at once; `test_minilm.py` holds its vectors to the default's."""

TOP = 5
EVERYTHING = 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ringfence.Store]:
    place = tmp_path_factory.mktemp("acme")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(place / "keys"))
        opened = ringfence.create(place / "team", policy=EXAMPLES / "acme" / "policy", embedder=EMBEDDER)
        for source in QUESTIONS["sources"]:
            summary = opened.ingest(EXAMPLES / source["path"], as_user=source["as"])
            assert not summary.failed
            assert not summary.refused
        yield opened
        opened.close()


def test_the_example_is_as_large_as_it_says(store: ringfence.Store) -> None:
    files = [path for path in (EXAMPLES / "acme" / "files").rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files}
    assert len(files) >= 60
    assert {".txt", ".md", ".html", ".pdf", ".docx", ".mbox", ".eml"} <= suffixes


@pytest.mark.parametrize(("question", "ask"), ASKS)
def test_each_reader_finds_what_is_his_and_nothing_else(
    store: ringfence.Store, question: str, ask: dict[str, Any]
) -> None:
    reader = store.as_user(ask["as"], purpose=ask.get("purpose", ""))
    best = [hit.source.path for hit in reader.search(question, k=TOP)]
    everything = reader.search(question, k=EVERYTHING)
    assert not ask.get("expect") or any(is_of(path, wanted) for path in best for wanted in ask["expect"])
    for forbidden in ask.get("never", []):
        assert not [hit for hit in everything if is_of(hit.source.path, forbidden)]
    for words in ask.get("never_text", []):
        assert not [hit for hit in everything if words in hit.text]


def is_of(path: str, file: str) -> bool:
    """Whether a hit's path is the file, or a mail in the mailbox."""
    return path == file or path.startswith(f"{file}/")
