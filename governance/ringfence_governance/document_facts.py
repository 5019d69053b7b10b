"""What may be asked about a document: the part of its metadata that its readers are shown.

Promise: what is not named here is kept by no block and no question can be put
about it; a column that is hidden is like one that does not exist.

Source: docs/decisions/0016-questions-about-metadata.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

FACTS: Mapping[str, str] = {
    "path": "string",
    "title": "string",
    "media_type": "string",
    "modified": "string",
    "size": "int64",
    "source": "string",
    "source_kind": "string",
}
"""Name → Arrow type. `modified` is UTC of one width, so that comparing text compares time, or null."""


DIGEST = "sha256"
"""Of the original's bytes: kept beside the facts for the record of what left; no question can be put about it."""


def with_facts(documents: pa.Table, metadata: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return a table of documents with a column for each of :data:`FACTS`, and their digest.

    Args:
        metadata: Of each row, opened.
    """
    import pyarrow as pa

    for name, kind in {**FACTS, DIGEST: "string"}.items():
        column = pa.array([each[name] for each in metadata], pa.type_for_alias(kind))
        documents = documents.append_column(name, column)
    return documents
