from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance.drafts import ChunkDraft, DocumentDraft, SourceIdentity, plain_path
from ringfence_governance.errors import InvalidInput
from ringfence_governance.vector_models import VectorModel

SECRET = "the crown is under the oak"


def chunk(start: int = 0, end: int = 9, text: str = "the crown", **more: Any) -> ChunkDraft:
    fields = {"vector": np.ones(4, dtype=np.float32), "terms": ("the", "crown"), "tokens": 2, **more}
    return ChunkDraft(start, end, text, **fields)


def draft(**more: Any) -> DocumentDraft:
    fields: dict[str, Any] = {
        "path": "a.txt",
        "title": SECRET,
        "media_type": "text/plain",
        "modified": None,
        "size": len(SECRET),
        "sha256": "0" * 64,
        "text": SECRET,
        "label": "acme/label:x",
        "label_origin": "test",
        "parents": (),
        "chunks": (chunk(),),
    }
    return DocumentDraft(**{**fields, **more})


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../up.md",
        "a/../../b",
        "a/./b",
        "a//b",
        "a/",
        "",
        "a\\b",
        "a\x00b",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
        "\udcff",
        "x" * 5000,
        None,
        7,
    ],
)
def test_path_traversal_and_odd_names_are_refused(path: object) -> None:
    with pytest.raises(InvalidInput, match="path: found"):
        plain_path(path)


@pytest.mark.parametrize("path", ["a", "a/b.md", "...", "..a/b..", "päth/文.txt", "a b/c:d,e", "~"])
def test_plain_names_are_taken_as_they_are(path: str) -> None:
    assert plain_path(path) == path


@given(st.text())
def test_a_plain_path_never_leaves_its_folder(path: str) -> None:
    try:
        parts = plain_path(path).split("/")
    except InvalidInput:
        return
    assert all(part not in ("", ".", "..") for part in parts)


def test_a_chunk_that_is_not_a_slice_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"chunk \[0:9\] that is not the document's text"):
        draft(chunks=(chunk(text="The crown"),))


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": 9, "end": 9, "text": ""},
        {"end": 8},
        {"vector": np.ones(4)},
        {"vector": np.ones((1, 4), dtype=np.float32)},
        {"vector": np.array([1, np.nan], dtype=np.float32)},
        {"tokens": -1},
    ],
)
def test_a_malformed_chunk_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="chunk "):
        chunk(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "../x"},
        {"label": "payroll"},
        {"label_origin": ""},
        {"modified": "yesterday"},
        {"sha256": "0"},
        {"title": "x" * 2000},
        {"chunks": ()},
        {"chunks": (chunk(), chunk(10, 12, "is", vector=np.ones(5, dtype=np.float32)))},
    ],
)
def test_a_malformed_draft_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        draft(**wrong)


def test_a_draft_never_prints_its_content() -> None:
    shown = repr(draft()) + repr(chunk()) + str(draft())
    assert "crown" not in shown
    with pytest.raises(InvalidInput) as refused:
        draft(chunks=(chunk(0, 3, "key"),))
    assert "crown" not in str(refused.value)
    assert "key" not in str(refused.value)


@pytest.mark.parametrize("wrong", [{"uri": ""}, {"kind": "bucket"}])
def test_a_malformed_source_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidInput, match="source: found"):
        replace(SourceIdentity("file:///x", "folder"), **wrong)


@pytest.mark.parametrize(
    "wrong", [{"model_id": ""}, {"weights_sha256": "A" * 64}, {"dimensions": 0}, {"dimensions": True}]
)
def test_a_malformed_model_is_refused(wrong: dict[str, Any]) -> None:
    model = VectorModel("m", "a" * 64, 3)
    assert VectorModel.from_mapping(model.to_mapping()) == model
    with pytest.raises(InvalidInput, match="model"):
        replace(model, **wrong)
    with pytest.raises(InvalidInput, match="found fields"):
        VectorModel.from_mapping({"model_id": "m"})
