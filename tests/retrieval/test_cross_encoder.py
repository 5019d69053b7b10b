"""A cross-encoder of sentence-transformers as a reranker: a small one, made here with weights from a seed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.errors import InvalidInput
from ringfence_retrieval.cross_encoder import CrossEncoderReranker, open_reranker
from ringfence_retrieval.errors import RerankerUnavailable
from ringfence_retrieval.reranking import Reranking

WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "pump",
    "valve",
    "leak",
    "seal",
    "offer",
    "rotor",
    "the",
]
TEXTS = ["the pump", "a leak at the seal of the pump and of the rotor", "offer", "valve " * 100, ""]
QUESTION = "the leak of the pump"


def made_model(folder: Path, *, outputs: int = 1, seed: int = 7) -> Path:
    """Save a BERT of two thin layers as a CrossEncoder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(seed)
    parts = folder.with_name(f"{folder.name}-parts")
    parts.mkdir(parents=True)
    (parts / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizer(str(parts / "vocab.txt"))
    tokenizer.model_max_length = 64
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=outputs,
        initializer_range=0.5,
    )
    BertForSequenceClassification(config).eval().save_pretrained(parts)
    tokenizer.save_pretrained(parts)
    CrossEncoder(str(parts), device="cpu", local_files_only=True).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def reranker(folder: Path) -> CrossEncoderReranker:
    return open_reranker(folder)


def test_a_score_is_the_same_bits_whatever_was_asked_before_and_with_however_many_threads(
    folder: Path, reranker: CrossEncoderReranker
) -> None:
    import torch

    alone = [reranker.score(QUESTION, text) for text in TEXTS]
    backwards = [reranker.score(QUESTION, text) for text in reversed(TEXTS)][::-1]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        more = [open_reranker(folder).score(QUESTION, text) for text in TEXTS]
        assert torch.get_num_threads() == 2, "the process's own number is not given back"
    finally:
        torch.set_num_threads(before)
    assert alone == backwards == more
    assert len(set(alone)) == len(TEXTS)


def test_its_scores_are_those_of_the_model(folder: Path, reranker: CrossEncoderReranker) -> None:
    from sentence_transformers import CrossEncoder

    expected: Any = CrossEncoder(str(folder), device="cpu", local_files_only=True).predict(
        [(QUESTION, text) for text in TEXTS]
    )
    for text, score in zip(TEXTS, expected, strict=True):
        assert reranker.score(QUESTION, text) == pytest.approx(float(score), abs=1e-5)


def test_it_is_named_by_its_folder_and_its_bytes(
    folder: Path, reranker: CrossEncoderReranker, tmp_path: Path
) -> None:
    assert reranker.name.startswith("small@")
    assert Reranking(reranker, 10).name == reranker.name
    other = made_model(tmp_path / "small", seed=8)
    assert open_reranker(other).name != reranker.name
    same = shutil.copytree(folder, tmp_path / "copy" / "small")
    assert open_reranker(same).name == reranker.name
    assert "score" not in repr(reranker)


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RerankerUnavailable, match="found no folder"):
        open_reranker(tmp_path / "none")
    # Not taken for a model's name: nothing is fetched.
    with pytest.raises(RerankerUnavailable, match="nothing is fetched"):
        open_reranker("cross-encoder/ms-marco-MiniLM-L6-v2")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no loadable CrossEncoder"):
        open_reranker(tmp_path / "empty")
    with pytest.raises(RerankerUnavailable, match="3 outputs"):
        open_reranker(made_model(tmp_path / "three", outputs=3))


def test_a_store_opened_with_its_folder_reranks_by_it(folder: Path, tmp_path: Path) -> None:
    import ringfence

    page = "\n\n".join(f"the {word} of the rotor" for word in ("pump", "valve", "leak", "seal"))
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.md").write_text(
        "".join(f"# {part}\n\n{part}\n\n" for part in page.split("\n\n"))
    )
    (tmp_path / "files" / "b.md").write_text("an offer of a pump")
    store = ringfence.create(tmp_path / "store", admin="acme/user:ada", embedder="hash", reranker=folder)
    with store:
        store.ingest(tmp_path / "files", as_user="acme/user:ada")
        reader = store.as_user("acme/user:ada")
        plain = reader.search("leak of the pump", 3)
        found = reader.search("leak of the pump", 3, rerank=5, explain=True)
        model = open_reranker(folder)
        assert {hit.id: hit.score for hit in found} == {
            hit.id: model.score("leak of the pump", hit.text) for hit in plain
        }
        assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
        assert (found.plan or {})["reranker"] == model.name
    with ringfence.open(tmp_path / "store", embedder="hash", reranker=tmp_path / "none") as other:
        reader = other.as_user("acme/user:ada")
        assert len(reader.search("pump", 1)) == 1
        with pytest.raises(RerankerUnavailable):
            reader.search("pump", 1, rerank=5)
