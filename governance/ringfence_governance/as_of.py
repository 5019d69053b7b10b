"""Make the opaque handle that tells a reader whether his data is as it was.

Promise: equal for equal readable labels and rows, and nothing else goes in:
no atom, version, sequence number, size or time of the store. Two stores that
differ only in what a reader may not read give him the same handle. What was
made for a label is used again only for the same rows and the same definition.

Source: DESIGN.md §2, promise 4.
"""

from __future__ import annotations

from collections import defaultdict

from . import rows
from .grants import Grant
from .ground import Ground
from .label_table import LabelTable
from .labels import LabelEntry
from .seal import digest

DIGITS = 32


def handle(ground: Ground, grant: Grant) -> str:
    """Return the handle of what a grant reads: 32 hexadecimal digits."""
    rows.check(ground, grant)
    if grant.standing is not None:
        digests = _digests(ground, grant, None)
        return digest(ground.store_key("as_of"), "as of", *sorted(digests.values()))[:DIGITS]
    version = grant.publication.versions["documents"]
    return ground.handles.whole(
        grant.atoms, version, grant.table.version, lambda: _made(ground, grant, version)
    )


def _made(ground: Ground, grant: Grant, version: int) -> str:
    identities: dict[int, list[bytes]] = defaultdict(list)
    if grant.atoms:
        for part in ground.tables.parts("documents", version, grant.atoms):
            identities[part.atom].append(part.identity)
    made_of: dict[int, object] = {
        atom: (sorted(held), grant.table.definitions(grant.table.entries[atom]))
        for atom, held in identities.items()
    }
    digests = ground.handles.known(made_of)
    missing = made_of.keys() - digests.keys()
    if missing:
        made = _digests(ground, grant, missing)
        ground.handles.keep(made_of, made)
        digests |= made
    return digest(ground.store_key("as_of"), "as of", *sorted(digests.values()))[:DIGITS]


def _digests(ground: Ground, grant: Grant, atoms: set[int] | None) -> dict[int, str]:
    """Return the digest of some of a grant's labels, or of all, each over its definition and its documents."""
    key = ground.store_key("as_of")
    held: dict[int, list[str]] = defaultdict(list)
    for atom, document_id, run_id in rows.run_ids(ground, grant, atoms):
        held[atom].append(f"{document_id}:{run_id}")
    return {
        atom: digest(key, "label", _canonical(grant.table, grant.table.entries[atom]), *sorted(found))
        for atom, found in held.items()
        if atoms is None or atom in atoms
    }


def _canonical(table: LabelTable, entry: LabelEntry) -> bytes:
    described = [
        (label_id.encode() if "/label:~" not in label_id else b"") + b"\0" + definition.canonical_bytes()
        for label_id, definition in table.definitions(entry)
    ]
    return b"\n".join(sorted(described))
