"""Take documents from Python as a source.

Promise: what is no :class:`Document` stops the run with a message that names
its type; a document with a bad path or content is reported and the rest goes
on.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator

from ringfence_governance.drafts import SourceIdentity

from .beneath import too_large
from .documents import Document, Loaded, SourceItem, SourceTrouble
from .errors import FileTrouble, SourceRefused
from .media_types import TEXT_TYPES, media_type_of_path


class DocumentsSource:
    """An iterable of documents.

    Args:
        documents: Read once, in order. To ingest again, give the documents again.
        name: What this source is called: the same name again is the same source.

    Raises:
        SourceRefused: The name is empty, or `documents` is text or bytes.
    """

    def __init__(self, documents: Iterable[Document], name: str = "documents") -> None:
        if not name or isinstance(documents, str | bytes):
            raise SourceRefused(
                f"source: found name {name!r} and a {type(documents).__name__}; expected a name and an iterable "
                "of Document"
            )
        self._documents = documents
        self._name = name

    @property
    def identity(self) -> SourceIdentity:
        """The name it was given."""
        return SourceIdentity(f"documents:{self._name}", "documents")

    def __repr__(self) -> str:
        return f"DocumentsSource({self._name!r})"

    def __length_hint__(self) -> int:
        return operator.length_hint(self._documents)

    def items(self) -> Iterator[SourceItem | SourceTrouble]:
        """Yield each document as an item.

        Raises:
            SourceRefused: Something is no Document.
        """
        for number, document in enumerate(self._documents, 1):
            given: object = document
            if not isinstance(given, Document):
                raise SourceRefused(
                    f"source {self._name!r}: found a {type(given).__name__} as item {number}; "
                    "expected a ringfence Document"
                )
            yield _item(given)


def _item(document: Document) -> SourceItem:
    return SourceItem(
        path=document.path,
        load=lambda bytes_max: _load(document, bytes_max),
        media_type=document.media_type,
        title=document.title,
        label=document.label,
        parents=document.parents,
    )


def _load(document: Document, bytes_max: int) -> Loaded:
    content: object = document.content
    charset = None
    if isinstance(content, str):
        charset = "utf-8"
        content = _encoded(content, document)
    if not isinstance(content, bytes):
        raise FileTrouble(
            f"content of type {type(content).__name__}", "bytes or text", "give the file's bytes or its text"
        )
    if len(content) > bytes_max:
        raise too_large(len(content), bytes_max)
    return Loaded(content, document.modified, charset=charset)


def _encoded(text: str, document: Document) -> bytes:
    media_type = document.media_type or media_type_of_path(document.path)
    if media_type is not None and media_type not in TEXT_TYPES:
        raise FileTrouble(f"text as content of {media_type}", "the file's bytes", "give bytes")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise FileTrouble(
            f"half of a surrogate pair at character {error.start}",
            "text that UTF-8 can hold",
            "mend the text",
        ) from None
