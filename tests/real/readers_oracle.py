"""Do a reader's answers equal what plain Python sets say?

Promise: which documents a reader may read comes from the corpus alone, and which passages hold a word from
the passages' own text. Only how a document is parsed and cut is asked of Ringfence's two pure functions,
outside any store; that it is read at all, and by whom, never.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import snowballstemmer

from ringfence import Reader
from ringfence_ingest.chunks import cut
from ringfence_ingest.media_types import media_type_of
from ringfence_ingest.parsers import parse

HITS_MAX = 1000
"""Most hits of one search; words in more passages are not asked for."""

HOLDING_MIN = 20

Place = tuple[str, int, int]
"""A passage: path, first character, one past the last."""


@dataclass(frozen=True)
class Passages:
    """Every passage of a corpus, and which words it holds.

    Args:
        of: Path → its passages.
        holding: Word → the passages that hold it.
        unclear: Words that touch other letters somewhere, such as Chinese ones: whether such a passage
            holds the word is a matter of taste, so they are never asked for.
    """

    of: Mapping[str, tuple[Place, ...]] = field(repr=False)
    holding: Mapping[str, frozenset[Place]] = field(repr=False)
    unclear: frozenset[str] = field(repr=False)

    @classmethod
    def read(cls, documents: Iterable[tuple[str, bytes, str | None]]) -> Passages:
        """Parse and cut documents given as (path, content, media type)."""
        of: dict[str, tuple[Place, ...]] = {}
        holding: dict[str, set[Place]] = defaultdict(set)
        unclear: set[str] = set()
        for path, content, media_type in documents:
            parsed = parse(content, media_type_of(path, content, media_type))
            spans = cut(parsed.text, parsed.media_type)
            of[path] = tuple((path, span.start, span.end) for span in spans)
            for span, place in zip(spans, of[path], strict=True):
                text = span.text.casefold()
                words = set(re.findall(r"[^\W_]+", text))
                unclear |= words ^ set(re.findall(r"[a-z0-9]+", text))
                for word in words:
                    holding[word].add(place)
        return cls(of, {word: frozenset(places) for word, places in holding.items()}, frozenset(unclear))

    def count(self, paths: Collection[str]) -> int:
        """Return how many passages the documents have."""
        return sum(len(self.of[path]) for path in paths)

    def words(self, seed: int) -> list[str]:
        """Return words to ask for, shuffled: in some passages, not in too many, and with a stem of their own.

        A search finds words by their stem, so a word shared with others by its stem would find theirs too.
        """
        stemmer = snowballstemmer.stemmer("english")
        stems = {word: stemmer.stemWord(word) for word in self.holding}
        sharing = Counter(stems.values())
        found = [
            word
            for word, places in sorted(self.holding.items())
            if re.fullmatch("[a-z]{4,20}", word)
            and HOLDING_MIN <= len(places) <= HITS_MAX
            and sharing[stems[word]] == 1
            and word not in self.unclear
        ]
        random.Random(seed).shuffle(found)
        return found


@dataclass(frozen=True)
class Checked:
    """What one reader's check took, in seconds."""

    first_s: float
    count_s: float
    list_s: float
    search_s: float
    hits: int


def check_reader(reader: Reader, paths: frozenset[str], passages: Passages, word: str) -> Checked:
    """Hold a reader's count, list and search against the oracle.

    Args:
        paths: Of every document he may read, by the oracle.
        word: One of :meth:`Passages.words`.
    """
    started = time.perf_counter()
    first = reader.count()
    counted = time.perf_counter()
    again = reader.count()
    recounted = time.perf_counter()
    assert (first.documents, first.chunks) == (len(paths), passages.count(paths)), reader
    assert again == first
    listed = reader.list()
    listed_at = time.perf_counter()
    assert sorted(document.path for document in listed) == sorted(paths), reader
    found = reader.search(word, k=HITS_MAX, mode="text")
    found_at = time.perf_counter()
    places = [(hit.source.path, hit.source.start, hit.source.end) for hit in found]
    expected = {place for place in passages.holding[word] if place[0] in paths}
    assert len(places) == len(set(places)), (reader, word)
    assert set(places) == expected, (reader, word)
    assert found.readable == first.chunks
    assert found.as_of == listed.as_of == first.as_of
    return Checked(
        first_s=counted - started,
        count_s=recounted - counted,
        list_s=listed_at - recounted,
        search_s=found_at - listed_at,
        hits=len(places),
    )


def sees_nothing(reader: Reader, word: str) -> bool:
    """Say whether a reader finds no document, no passage and no hit."""
    counts = reader.count()
    return (
        (counts.documents, counts.chunks) == (0, 0)
        and len(reader.list()) == 0
        and [len(reader.search(word, mode=mode)) for mode in ("vector", "text", "hybrid")] == [0, 0, 0]
    )


def sample(readable: Mapping[str, frozenset[str]], count: int, seed: int) -> list[str]:
    """Return principals to check: an eighth are those who read most, the rest are drawn."""
    ordered = sorted(readable, key=lambda reader: (-len(readable[reader]), reader))
    most = ordered[: count // 8]
    rest = random.Random(seed).sample(ordered[len(most) :], min(count, len(ordered)) - len(most))
    return [*most, *rest]
