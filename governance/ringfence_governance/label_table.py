"""All labels of a store at one catalog sequence: by atom, by id, and laid out to be judged at once.

Promise: a table never changes; the next one shares with it all but what
changed, so interning a label costs the same in a large store as in a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn, TypeAlias

from rpds import HashTrieMap

from .errors import InvalidLabel
from .label_columns import LabelSegment
from .labels import Label, LabelEntry

MERGE_RATIO = 8
"""A segment is taken into the next one once that has grown to this part of it: few segments, little copying."""

_Pending: TypeAlias = "tuple[_Pending, tuple[LabelEntry, ...]] | None"
"""Labels that stand in no segment yet, the newest in front; a chain, so that adding one copies none."""
_Layout: TypeAlias = tuple[tuple[str, ...], tuple[LabelSegment, ...], _Pending]


class LabelTable:
    """All labels at one catalog sequence. Never changes.

    Args:
        version: Catalog number of the newest change in it.
        entries: Atom → label.
    """

    __slots__ = ("_layout", "by_id", "entries", "version")

    version: int
    entries: HashTrieMap[int, LabelEntry]
    """Atom → label."""
    by_id: HashTrieMap[str, LabelEntry]
    """Id → label."""

    def __init__(self, version: int, entries: Mapping[int, LabelEntry]) -> None:
        self.version = version
        self.entries = HashTrieMap(entries)
        self.by_id = HashTrieMap({entry.label_id: entry for entry in entries.values()})
        self._layout: _Layout = ((), (), (None, tuple(entries.values())))

    def changed(self, version: int, entries: Sequence[LabelEntry]) -> LabelTable:
        """Return the table with some labels added, or given another meaning.

        Raises:
            InvalidLabel: An atom of another id, or an id of another atom, or a plain label made compound or
                the reverse. Nothing is made.
        """
        made = object.__new__(LabelTable)
        made.version = version
        made.entries, made.by_id = self.entries, self.by_id
        for entry in entries:
            _check_same(entry, made.entries.get(entry.atom), made.by_id.get(entry.label_id))
            made.entries = made.entries.insert(entry.atom, entry)
            made.by_id = made.by_id.insert(entry.label_id, entry)
        fields, segments, pending = self._layout
        made._layout = (fields, segments, (pending, tuple(entries)))
        return made

    def segments(self, fields: tuple[str, ...]) -> tuple[LabelSegment, ...]:
        """Return all labels laid out by field, in a few segments.

        What a later segment says of an atom takes the place of what an earlier one says.
        """
        laid_out, segments, pending = self._layout
        if laid_out != fields:
            segments, pending = (), (None, tuple(self.entries.values()))
        if pending is not None:
            segments = self._merged(segments, _newest(pending), fields)
        self._layout = (fields, segments, None)
        return segments

    def laid_out(self) -> tuple[LabelSegment, ...]:
        """Return the segments as they are laid out, by whatever fields."""
        return self.segments(self._layout[0])

    def _merged(
        self, segments: tuple[LabelSegment, ...], newest: dict[int, LabelEntry], fields: tuple[str, ...]
    ) -> tuple[LabelSegment, ...]:
        names = {entry.label_id for entry in newest.values()}
        if any(not names.isdisjoint(segment.unknown) for segment in segments):
            segments, newest = (), dict(self.entries.items())
        kept = list(segments)
        while kept and len(kept[-1].entries) < MERGE_RATIO * len(newest):
            newest = {entry.atom: entry for entry in kept.pop().entries} | newest
        return (*kept, LabelSegment(tuple(newest.values()), fields, self.by_id))

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return f"LabelTable(version={self.version}, labels={len(self)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a label table is neither copied nor pickled")

    @property
    def by_value(self) -> Mapping[Label, LabelEntry]:
        """The anonymous labels by what they mean; made anew at each call."""
        entries = self.entries.values()
        return {entry.definition: entry for entry in entries if entry.definition and not entry.named}

    def definitions(self, entry: LabelEntry) -> tuple[tuple[str, Label], ...]:
        """Return (id, definition) of the label, or of every part of a compound one, by id.

        Raises:
            KeyError: A part is unknown; the caller denies.
        """
        if entry.definition is not None:
            return ((entry.label_id, entry.definition),)
        found: list[tuple[str, Label]] = []
        for part in sorted(entry.parts):
            definition = self.by_id[part].definition
            if definition is None:
                raise KeyError(part)
            found.append((part, definition))
        if not found:
            raise KeyError(entry.label_id)
        return tuple(found)


def _check_same(entry: LabelEntry, of_atom: LabelEntry | None, of_id: LabelEntry | None) -> None:
    """Refuse what the segments could not tell from what stood before."""
    for known in (of_atom, of_id):
        if known is None:
            continue
        if (known.atom, known.label_id, known.definition is None) != (
            entry.atom,
            entry.label_id,
            entry.definition is None,
        ):
            raise InvalidLabel(
                f"atom {entry.atom}: found label {entry.label_id!r}, which is not what stood there; "
                "expected an atom to stand for one label for ever"
            )


def _newest(pending: _Pending) -> dict[int, LabelEntry]:
    """Return the labels of the chain by atom, each as it was given last."""
    batches: list[tuple[LabelEntry, ...]] = []
    while pending is not None:
        pending, batch = pending
        batches.append(batch)
    return {entry.atom: entry for batch in reversed(batches) for entry in batch}
