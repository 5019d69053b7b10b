"""Turn one loaded document into a draft: parse, cut, embed, name its words.

Promise: a draft's vectors depend on the document's own text alone. Nothing
here knows a label's meaning or a store.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ringfence_governance.drafts import ChunkDraft, DocumentDraft
from ringfence_governance.terms import terms

from .chunks import CHUNKER_VERSION, Span, cut
from .documents import Loaded, SourceItem
from .embedders import Embedder
from .errors import FileSkipped, FileTrouble
from .label_choice import ChosenLabel
from .limits import CHUNK_CHARS_MAX
from .media_types import media_type_of
from .parsed import ParsedDocument, short_title
from .parsers import PARSERS_VERSION

UNIT_LENGTH_TOLERANCE = 1e-5


class Parser(Protocol):
    """What turns bytes into text: :class:`~ringfence_ingest.parser_process.ParserProcess`."""

    def parse(self, content: bytes, media_type: str, encoding: str | None = None) -> ParsedDocument:
        """Return the text of a document, or raise FileTrouble."""


@dataclass(frozen=True, slots=True)
class Drafter:
    """What all documents of a run share.

    Args:
        parser: Turns bytes into text.
        embedder: Turns chunks into vectors.
        encoding: What text files without a mark are encoded in; None means UTF-8.
        language: Whose word forms are folded in the text index.
    """

    parser: Parser
    embedder: Embedder
    encoding: str | None
    language: str

    @property
    def pipeline(self) -> str:
        """A text that is another one whenever the same bytes would give other rows."""
        return (
            f"parsers={PARSERS_VERSION};chunker={CHUNKER_VERSION};chars={CHUNK_CHARS_MAX};"
            f"encoding={self.encoding or 'utf-8'};language={self.language}"
        )

    def read(self, item: SourceItem, loaded: Loaded) -> tuple[ParsedDocument, tuple[Span, ...]]:
        """Return a document's text and where it is cut, without any vector.

        Raises:
            FileTrouble: It cannot be parsed, or holds no word.
        """
        media_type = media_type_of(item.path, loaded.content, item.media_type)
        parsed = self.parser.parse(loaded.content, media_type, loaded.charset or self.encoding)
        spans = cut(parsed.text, parsed.media_type)
        if not spans:
            raise FileSkipped("a file without a word", "a file with text", "nothing to do")
        return parsed, spans

    def draft(self, item: SourceItem, loaded: Loaded, sha256: str, chosen: ChosenLabel) -> DocumentDraft:
        """Return the draft of one document.

        Raises:
            FileTrouble: It cannot be parsed, or holds no word.
            InvalidInput: Its title, time or path is malformed.
        """
        parsed, spans = self.read(item, loaded)
        return DocumentDraft(
            path=item.path,
            title=short_title(item.title or "") or parsed.title or item.path.rpartition("/")[2],
            media_type=parsed.media_type,
            modified=loaded.modified,
            size=len(loaded.content),
            sha256=sha256,
            text=parsed.text,
            label=chosen.label,
            label_origin=chosen.origin,
            parents=item.parents,
            chunks=self._chunks(spans),
        )

    def _chunks(self, spans: tuple[Span, ...]) -> tuple[ChunkDraft, ...]:
        vectors = self.embedder.embed([span.text for span in spans])
        check_vectors(vectors, (len(spans), self.embedder.model.dimensions))
        return tuple(chunk(span, vector, self.language) for span, vector in zip(spans, vectors, strict=True))


def content_sha256(content: bytes) -> str:
    """Return the SHA-256 of a document's original bytes as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def chunk(span: Span, vector: np.ndarray, language: str) -> ChunkDraft:
    """Return one piece of a text with its vector and its words."""
    words = tuple(terms(span.text, language))
    return ChunkDraft(span.start, span.end, span.text, vector, words, len(words))


def check_vectors(vectors: np.ndarray, shape: tuple[int, int]) -> None:
    """Hold an embedder to float32 vectors of length 1.

    Raises:
        FileTrouble: They are not.
    """
    if vectors.shape != shape or vectors.dtype != np.float32:
        raise FileTrouble(
            f"vectors {vectors.dtype} of shape {vectors.shape} from the embedder",
            f"float32 of shape {shape}",
            "mend the embedder",
        )
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.allclose(lengths, 1.0, atol=UNIT_LENGTH_TOLERANCE):
        raise FileTrouble(
            "vectors that are not of length 1 from the embedder",
            "unit vectors",
            "let it normalise its vectors",
        )
