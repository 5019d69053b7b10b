"""The real model: loaded once for all of these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ringfence_governance.model_files import files_sha256
from ringfence_ingest.embedders import Embedder, open_embedder
from ringfence_ingest.embedders.minilm_files import MODEL, packaged_folder
from ringfence_ingest.errors import EmbedderUnavailable

TEXTS = [
    "What did we offer Meridian?",
    "The offer to Meridian is 4.2 million for the pumps.",
    "Lunch is at noon in the kitchen.",
    "Größe, café, 東京 😀",
    "word " * 1000,
    "",
    "x",
]


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    return open_embedder("minilm")


def test_the_default_model_gives_unit_vectors_that_mean_something(minilm: Embedder) -> None:
    found = minilm.embed(TEXTS)
    assert minilm.model == MODEL
    assert found.shape == (len(TEXTS), 384)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.3
    assert minilm.embed([]).shape == (0, 384)


def test_a_texts_vector_does_not_depend_on_its_neighbours(minilm: Embedder) -> None:
    together = minilm.embed(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert np.array_equal(minilm.embed([text])[0], vector)
    assert np.array_equal(minilm.embed(TEXTS[::-1])[::-1], together)


def test_onnxruntime_gives_the_same_vectors_from_the_same_weights(minilm: Embedder) -> None:
    onnx = open_embedder("minilm-onnx")
    assert onnx.model == minilm.model
    mine, other = onnx.embed(TEXTS), minilm.embed(TEXTS)
    assert mine.dtype == np.float32
    assert np.abs(mine - other).max() < 1e-6
    assert onnx.embed([]).shape == (0, 384)
    assert np.array_equal(onnx.embed(TEXTS[:1])[0], mine[0])


def test_any_folder_of_a_sentence_transformer_is_an_embedder_with_a_digest_of_its_own(
    minilm: Embedder,
) -> None:
    folder = packaged_folder()
    other = open_embedder(str(folder))
    assert other.model.model_id == "model"
    assert other.model.weights_sha256 == files_sha256(folder)
    assert other.model.dimensions == 384
    assert other.model != minilm.model
    assert np.array_equal(other.embed(TEXTS[:2]), minilm.embed(TEXTS[:2]))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EmbedderUnavailable, match="no loadable SentenceTransformer"):
        open_embedder(str(tmp_path))


def test_a_name_that_is_not_on_this_machine_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a network connection was made")

    monkeypatch.setattr("socket.socket.connect", connect)
    with pytest.raises(EmbedderUnavailable, match="nothing is fetched from a network"):
        open_embedder("no-such-model-anywhere")
