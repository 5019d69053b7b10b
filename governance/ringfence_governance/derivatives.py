"""Say which label what was made from documents gets when theirs change.

Promise: whatever was ever made from a document keeps all parts its label has,
and gets those of the document's new one; nothing is lowered with its input.

Source: DESIGN.md §3, §5 (*Seal*).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping

from . import catalog_labels, descendants
from .ground import Ground
from .labels import LabelEntry
from .table_schemas import Versions


def made_from(
    ground: Ground, versions: Versions, documents: Collection[str], pending: Collection[tuple[str, str]]
) -> frozenset[str]:
    """Return documents and all that was ever made from them, also what is about to be published.

    Args:
        pending: (what was made, document or passage it was made from) of what is not published yet.
    """
    found = frozenset(documents)
    while True:
        reached, passages = descendants.made_from(ground.tables, versions, found, ever=True)
        nodes = reached.union(passages.to_pylist()) if pending else reached
        more = reached | {child for child, parent in pending if parent in nodes}
        if more == reached:
            return more
        found = more


def raised(
    ground: Ground,
    versions: Versions,
    moved: Mapping[str, LabelEntry],
    pending: Collection[tuple[str, str]],
) -> dict[str, frozenset[str]]:
    """Return the parts that labels must have at least, of all that was made from documents that get another label.

    Args:
        moved: Document → its new label.
        pending: As in :func:`made_from`.
    """
    by_label: dict[int, list[str]] = defaultdict(list)
    for document_id, entry in moved.items():
        by_label[entry.atom].append(document_id)
    needed: dict[str, frozenset[str]] = defaultdict(frozenset)
    for documents in by_label.values():
        parts = parts_of(moved[documents[0]])
        for each in made_from(ground, versions, documents, pending):
            needed[each] |= parts
    return dict(needed)


def parts_of(entry: LabelEntry) -> frozenset[str]:
    """Return the named or interned labels a label is made of: of one that is not compound, itself."""
    return entry.parts or frozenset({entry.label_id})


def with_parts(ground: Ground, parts: frozenset[str]) -> LabelEntry:
    """Return the label of some parts, interned if it is new.

    Raises:
        InvalidLabel: They are of two tenants.
    """
    if len(parts) == 1:
        return ground.moment().table.by_id[next(iter(parts))]
    return catalog_labels.intern_compound(ground.catalog, parts)
