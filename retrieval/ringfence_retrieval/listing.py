"""List, count and open what a reader may read.

Promise: an unknown document and an unreadable one are one answer.
"""

from __future__ import annotations

from ringfence_governance.door import Door
from ringfence_governance.reading import Answer, GrantedReader
from ringfence_governance.rows import DocumentRow
from ringfence_governance.subjects import Subject

from .results import Counts, Document, DocumentList, DocumentText


def documents(door: Door, subject: Subject, *, at: str | None = None) -> DocumentList:
    """Return all readable documents, by path, then id; `at` as in :func:`reading.read`."""

    def work(reader: GrantedReader) -> Answer[DocumentList]:
        rows = sorted(reader.documents(), key=lambda row: (row.metadata["path"], row.document_id))
        ordered = tuple(_document(reader, row) for row in rows)
        return Answer(
            rows=[(row.document_id, row.atom) for row in rows],
            finish=lambda as_of: DocumentList(ordered, as_of),
            plan="list",
            counts={"documents": len(ordered)},
        )

    return door.read(subject, "list", work, at=at)


def counts(door: Door, subject: Subject, *, at: str | None = None) -> Counts:
    """Return how many documents and chunks are readable; `at` as in :func:`reading.read`."""

    def work(reader: GrantedReader) -> Answer[Counts]:
        found = {name: reader.count(name) for name in ("documents", "chunks")}
        return Answer(
            rows=[],
            finish=lambda as_of: Counts(found["documents"], found["chunks"], as_of),
            plan="count",
            counts=found,
        )

    return door.read(subject, "count", work, at=at)


def text(door: Door, subject: Subject, document_id: str, *, at: str | None = None) -> DocumentText:
    """Return the whole text of a readable document; `at` as in :func:`reading.read`.

    Raises:
        NotReadable: Unknown or unreadable.
    """

    def work(reader: GrantedReader) -> Answer[DocumentText]:
        found_id, atom = reader.check_row(document_id)
        (row,) = reader.documents([found_id])
        return Answer(
            rows=[(found_id, atom)],
            documents=[found_id],
            finish=lambda as_of: DocumentText(
                found_id, row.metadata["path"], reader.document_text(found_id), as_of
            ),
            plan="text",
        )

    return door.read(subject, "text", work, at=at)


def _document(reader: GrantedReader, row: DocumentRow) -> Document:
    facts = row.metadata
    return Document(
        id=row.document_id,
        path=facts["path"],
        title=facts["title"],
        media_type=facts["media_type"],
        modified=facts["modified"],
        size=facts["size"],
        source=facts["source"],
        kind=facts["source_kind"],
        run=row.run_id,
        label=reader.label_name(row.atom),
    )
