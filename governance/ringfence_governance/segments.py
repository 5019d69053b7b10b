"""Hold the opened rows of some blocks side by side, in the order of their atoms.

Promise: a segment never changes. A block in it is one span of rows, of one
atom; what belongs to a block can be told from the rest, in the vectors and
in the word lists alike. Text stays sealed, and of a document's metadata what
no question is asked about.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .quantised import Quantised

WORD_BITS = 32
"""A place in the word lists is (number of the block << 32) | number of the word."""
WORD_MASK = (1 << WORD_BITS) - 1
ID_DIGITS = 32
BYTES_PER_WORD = 120
"""What one word of a segment's vocabulary takes, about."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class WordLists:
    """Which rows hold a word, block by block, and in which order each row holds its words.

    Args:
        vocabulary: Word → number.
        keys: int64 of shape (w,), ascending: block and word.
        starts: int64 of shape (w + 1,): where each key's rows begin.
        rows: int32 of shape (p,): rows of the segment.
        counts: int32 of shape (p,): how often each row holds the word.
        lengths: int32 of shape (n,): words of each row.
        begins: int64 of shape (n + 1,): where each row's words begin in `order`.
        order: The words of each row by number, one after the other as they occur: of the smallest unsigned type
            that holds the vocabulary.
    """

    vocabulary: dict[str, int]
    keys: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]
    begins: npt.NDArray[np.int64]
    order: npt.NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Segment:
    """The rows of some blocks.

    Args:
        blocks: Identity of each block, in the order of their rows.
        starts: int64 of shape (b + 1,): where each block's rows begin.
        ids: uint64 of shape (n, 2): each row's id, its upper half first.
        vectors: float32 of shape (n, d).
        small: The same in one byte a number.
        words: Which rows hold a word.
        spans: int64 of shape (n, 2): where each row begins and ends in its document, in characters.
        chunks: id, run_id and, sealed, text of each row.
        documents: id and atom of the rows' documents and, opened, their facts and digest, see
            :func:`document_facts.with_facts`.
        document_of: int32 of shape (n,): the row's place in `documents`.
    """

    blocks: tuple[bytes, ...]
    starts: npt.NDArray[np.int64]
    ids: npt.NDArray[np.uint64]
    vectors: npt.NDArray[np.float32]
    small: Quantised
    words: WordLists
    spans: npt.NDArray[np.int64]
    chunks: pa.Table
    documents: pa.Table
    document_of: npt.NDArray[np.int32]

    def __reduce__(self) -> NoReturn:
        raise TypeError("opened rows are neither copied nor pickled")

    @property
    def size(self) -> int:
        """About how many bytes of memory it takes."""
        arrays: list[npt.NDArray[Any]] = [
            self.ids,
            self.vectors,
            self.document_of,
            self.spans,
            *_arrays(self.small),
            *_arrays(self.words),
        ]
        tables = int(self.chunks.nbytes) + int(self.documents.nbytes)
        words = BYTES_PER_WORD * len(self.words.vocabulary)
        return tables + words + sum(int(each.nbytes) for each in arrays)


def binary_ids(ids: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return opaque ids as pairs of numbers that are ordered as the ids are."""
    raw = bytes.fromhex("".join(ids))
    return np.frombuffer(raw, ">u8").astype(np.uint64).reshape(-1, 2)


def text_ids(pairs: npt.NDArray[np.uint64]) -> list[str]:
    """Return the opaque ids of pairs of numbers; of shape (n, 2)."""
    digits = pairs.astype(">u8").tobytes().hex()
    return [digits[start : start + ID_DIGITS] for start in range(0, len(digits), ID_DIGITS)]


def word_lists(terms: Sequence[Sequence[str]], starts: npt.NDArray[np.int64]) -> WordLists:
    """Return the word lists of rows.

    Args:
        terms: The words of each row, repeated as they occur.
        starts: Where each block's rows begin, and where the last one ends.
    """
    numbered = _Numbered()
    lengths = np.fromiter(map(len, terms), np.int32, len(terms))
    words = map(numbered.__getitem__, chain.from_iterable(terms))
    order = np.fromiter(words, np.int64, int(lengths.sum()))
    vocabulary = dict(numbered)
    every = np.repeat(np.arange(len(terms), dtype=np.int64) << WORD_BITS, lengths) | order
    entries, counts = np.unique(every, return_counts=True)
    return _sorted_lists(
        vocabulary,
        entries & WORD_MASK,
        (entries >> WORD_BITS).astype(np.int32),
        counts.astype(np.int32),
        lengths,
        starts,
        order.astype(_narrow(vocabulary)),
    )


class _Numbered(dict[str, int]):
    """Gives each word that is asked for a number, in the order in which they come."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


def _sorted_lists(
    vocabulary: dict[str, int],
    numbers: npt.NDArray[np.signedinteger[Any]],
    rows: npt.NDArray[np.int32],
    counts: npt.NDArray[np.int32],
    lengths: npt.NDArray[np.int32],
    starts: npt.NDArray[np.int64],
    words: npt.NDArray[np.unsignedinteger[Any]],
) -> WordLists:
    """Return the word lists of entries of which those of one word in one block are in the order of their rows."""
    every = np.searchsorted(starts, rows, side="right") - 1
    every <<= WORD_BITS
    every |= numbers
    order = np.argsort(every, kind="stable")
    every = every[order]
    firsts = np.flatnonzero(np.diff(every, prepend=-1))
    keys, lists = every[firsts], np.append(firsts, len(every))
    del every
    begins = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return WordLists(vocabulary, keys, lists, rows[order], counts[order], lengths, begins, words)


def _narrow(vocabulary: dict[str, int]) -> np.dtype[Any]:
    """Return the smallest type that holds every number of a vocabulary."""
    return np.min_scalar_type(len(vocabulary))


def joined(taken: Iterable[tuple[Segment, Sequence[int]]]) -> Segment:
    """Return one segment of some blocks of others, in the order of their atoms; nothing else of them stays in it.

    Args:
        taken: Segments, and the numbers of the blocks to take; at least one block in all.
    """
    pieces = [(segment, number) for segment, numbers in taken for number in numbers]
    # An identity begins with its atom.
    pieces.sort(key=lambda piece: piece[0].blocks[piece[1]])
    sizes = [segment.starts[number + 1] - segment.starts[number] for segment, number in pieces]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    spans = _spans(pieces)
    documents, document_of = _joined_documents(spans)
    return Segment(
        blocks=tuple(segment.blocks[number] for segment, number in pieces),
        starts=starts,
        ids=np.concatenate([segment.ids[span] for segment, span in spans]),
        vectors=np.concatenate([segment.vectors[span] for segment, span in spans]),
        small=Quantised(
            *(
                np.concatenate([getattr(segment.small, each.name)[span] for segment, span in spans])
                for each in fields(Quantised)
            )
        ),
        words=_joined_lists(pieces, starts),
        spans=np.concatenate([segment.spans[span] for segment, span in spans]),
        chunks=pa.concat_tables(
            [segment.chunks.slice(span.start, span.stop - span.start) for segment, span in spans]
        ).combine_chunks(),
        documents=documents,
        document_of=document_of,
    )


def _spans(pieces: Sequence[tuple[Segment, int]]) -> list[tuple[Segment, slice]]:
    """Return the rows of some blocks, those of blocks that lie side by side together."""
    spans: list[tuple[Segment, slice]] = []
    for segment, number in pieces:
        start, stop = segment.starts[number : number + 2].tolist()
        if spans and spans[-1][0] is segment and spans[-1][1].stop == start:
            start = spans.pop()[1].start
        spans.append((segment, slice(start, stop)))
    return spans


def _joined_documents(spans: Sequence[tuple[Segment, slice]]) -> tuple[pa.Table, npt.NDArray[np.int32]]:
    tables, places, before = [], [], 0
    for segment, span in spans:
        used, inverse = np.unique(segment.document_of[span], return_inverse=True)
        tables.append(segment.documents.take(pa.array(used)))
        places.append((inverse + before).astype(np.int32))
        before += len(used)
    return pa.concat_tables(tables).combine_chunks(), np.concatenate(places)


def _joined_lists(pieces: Sequence[tuple[Segment, int]], starts: npt.NDArray[np.int64]) -> WordLists:
    vocabulary: dict[str, int] = {}
    taken: dict[int, tuple[Segment, list[int]]] = {}
    for segment, number in pieces:
        taken.setdefault(id(segment), (segment, []))[1].append(number)
    known = {place: _renumbered(segment, blocks, vocabulary) for place, (segment, blocks) in taken.items()}
    numbers, rows, counts, lengths, order = [], [], [], [], []
    for (segment, number), start in zip(pieces, starts.tolist(), strict=False):
        words, (new, bounds) = segment.words, known[id(segment)]
        begin, end = segment.starts[number : number + 2].tolist()
        first, last = bounds[number : number + 2].tolist()
        here = slice(int(words.starts[first]), int(words.starts[last]))
        sizes = np.diff(words.starts[first : last + 1])
        numbers.append(np.repeat(new[words.keys[first:last] & WORD_MASK], sizes))
        rows.append(words.rows[here] + np.int32(start - begin))
        counts.append(words.counts[here])
        lengths.append(words.lengths[begin:end])
        order.append(new[words.order[int(words.begins[begin]) : int(words.begins[end])]])
    return _sorted_lists(
        vocabulary,
        np.concatenate(numbers),
        np.concatenate(rows),
        np.concatenate(counts),
        np.concatenate(lengths),
        starts,
        np.concatenate(order).astype(_narrow(vocabulary)),
    )


def _renumbered(
    segment: Segment, blocks: Sequence[int], vocabulary: dict[str, int]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Give the words of some blocks their numbers in another vocabulary, which gets those it lacks and no other.

    Returns:
        By its old number each word's new one; and where each block's lists begin, and where the last one's end.
    """
    words, count = segment.words, len(segment.blocks)
    bounds = np.searchsorted(words.keys, np.arange(count + 1, dtype=np.int64) << WORD_BITS)
    taken, held = np.zeros(count, np.bool_), np.zeros(len(words.vocabulary), np.bool_)
    taken[blocks] = True
    held[words.keys[np.repeat(taken, np.diff(bounds))] & WORD_MASK] = True
    new = np.zeros(len(held), np.int32)
    new[held] = [
        vocabulary.setdefault(word, len(vocabulary))
        for word, wanted in zip(words.vocabulary, held.tolist(), strict=True)
        if wanted
    ]
    return new, bounds


def _arrays(held: Any) -> list[npt.NDArray[Any]]:
    values = [getattr(held, each.name) for each in fields(held)]
    return [value for value in values if isinstance(value, np.ndarray)]
