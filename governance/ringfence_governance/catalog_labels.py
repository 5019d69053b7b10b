"""Intern labels to atoms, and give the label table of one catalog sequence.

Promise: an atom stands for one label for ever; a named label may be given a
new meaning, and each meaning keeps the sequence number it began at. A meaning
counts for the label it was sealed for alone, whichever row says otherwise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, func, insert, select

from . import catalog_schema as schema
from . import identifiers, journal
from .catalog import NEW_LABEL, SEQUENCE_MAX, Catalog
from .errors import InvalidLabel, StoreCorrupt
from .label_table import LabelTable
from .labels import Label, LabelEntry

ATOM_MAX = 2**31 - 1

# Made once: making a statement takes several times as long as asking it, and this one is asked at every change.
_VERSION = select(func.max(schema.label_versions.c.sequence)).where(
    schema.label_versions.c.sequence <= bindparam("until")
)


def version(connection: Connection, *, until: int = SEQUENCE_MAX) -> int:
    """Return the sequence number of the newest change to the label table; 0 if it is empty."""
    return int(connection.execute(_VERSION, {"until": until}).scalar() or 0)


def load(
    catalog: Catalog, connection: Connection, kept: LabelTable | None = None, *, until: int = SEQUENCE_MAX
) -> LabelTable:
    """Return all labels as they stand now, or as they stood at a catalog number.

    Args:
        kept: The table as it stood before; only what changed since is opened.
        until: Catalog number of the last change that counts.
    """
    versions = schema.label_versions
    newest = (
        select(versions.c.atom, func.max(versions.c.sequence).label("sequence"))
        .where(versions.c.sequence > (kept.version if kept is not None else 0), versions.c.sequence <= until)
        .group_by(versions.c.atom)
        .subquery()
    )
    rows = connection.execute(
        select(
            *schema.labels.c,
            versions.c.sequence.label("since"),
            versions.c.definition,
            schema.journal.c.payload.label("journaled"),
        )
        .join(newest, newest.c.atom == schema.labels.c.atom)
        .join(versions, and_(versions.c.atom == newest.c.atom, versions.c.sequence == newest.c.sequence))
        .outerjoin(schema.journal, schema.journal.c.sequence == versions.c.sequence)
    ).all()
    entries = [_entry(catalog, row) for row in rows]
    number = version(connection, until=until)
    if kept is not None:
        return kept.changed(number, entries)
    return LabelTable(number, {entry.atom: entry for entry in entries})


@dataclass(frozen=True, slots=True)
class LabelVersion:
    """One meaning of one label.

    Args:
        sequence: Catalog number it began at.
        at: UTC.
        entry: The label as it was meant from then on.
    """

    sequence: int
    at: str
    entry: LabelEntry


def versions(catalog: Catalog, connection: Connection, *, until: int) -> tuple[LabelVersion, ...]:
    """Return every meaning every label has had, the oldest first.

    Args:
        until: Catalog number of the last change that counts.
    """
    made = schema.label_versions
    rows = connection.execute(
        select(
            *schema.labels.c,
            made.c.sequence.label("since"),
            made.c.definition,
            schema.entries.c.at,
            schema.journal.c.payload.label("journaled"),
        )
        .join(made, made.c.atom == schema.labels.c.atom)
        .join(schema.entries, schema.entries.c.sequence == made.c.sequence)
        .outerjoin(schema.journal, schema.journal.c.sequence == made.c.sequence)
        .where(made.c.sequence <= until)
        .order_by(made.c.sequence, made.c.atom)
    )
    return tuple(LabelVersion(int(row.since), str(row.at), _entry(catalog, row)) for row in rows)


def intern_value(catalog: Catalog, label: Label) -> LabelEntry:
    """Return the anonymous label of this value, made if it is new."""
    canonical = label.canonical_bytes()
    label_id = f"{label.tenant}/label:~{catalog.ambient.new_id('label', canonical.decode())}"
    return _intern(catalog, catalog.digest("label value", canonical), label_id, {"label": label.to_mapping()})


def atom_of_value(catalog: Catalog, label: Label) -> int | None:
    """Return the atom of the anonymous label of this value; None if it is not interned."""
    lookup = catalog.digest("label value", label.canonical_bytes())
    with catalog.read() as connection:
        atom = connection.execute(
            select(schema.labels.c.atom).where(schema.labels.c.value_digest == lookup)
        ).scalar()
    return None if atom is None else int(atom)


def intern_compound(catalog: Catalog, parts: frozenset[str]) -> LabelEntry:
    """Return the compound label of these parts, made if it is new.

    Raises:
        InvalidLabel: Fewer than two parts, or parts of two tenants.
    """
    tenants = {identifiers.tenant_of(part) for part in parts}
    if len(parts) < 2 or len(tenants) != 1:
        raise InvalidLabel(
            f"compound label: found {len(parts)} parts of {len(tenants)} tenants; expected 2+ of one"
        )
    ordered = sorted(parts)
    label_id = f"{tenants.pop()}/label:~{catalog.ambient.new_id('compound', ' '.join(ordered))}"
    return _intern(catalog, catalog.digest("compound", *ordered), label_id, {"parts": ordered})


def define(catalog: Catalog, connection: Connection, name: str, label: Label, sequence: int) -> LabelEntry:
    """Give a named label its meaning, from `sequence` on; the name is interned if it is new."""
    lookup = catalog.digest("label name", name)
    atom = connection.execute(
        select(schema.labels.c.atom).where(schema.labels.c.value_digest == lookup)
    ).scalar()
    if atom is None:
        atom = _insert(catalog, connection, lookup, name, sequence)
    _insert_version(catalog, connection, int(atom), sequence, {"label": label.to_mapping(), "name": name})
    return LabelEntry(int(atom), name, label)


def versions_of(connection: Connection, atom: int) -> list[int]:
    """Return the sequence numbers at which a label got its meanings, the first one first."""
    columns = schema.label_versions.c
    found = connection.execute(
        select(columns.sequence).where(columns.atom == atom).order_by(columns.sequence)
    ).scalars()
    return [int(number) for number in found]


def _intern(catalog: Catalog, lookup: str, label_id: str, definition: dict[str, object]) -> LabelEntry:
    with catalog.write() as connection:
        known = connection.execute(
            select(schema.labels.c.atom, schema.labels.c.sealed_id).where(
                schema.labels.c.value_digest == lookup
            )
        ).one_or_none()
        if known is None:
            sequence, _ = catalog.next_entry(connection, NEW_LABEL)
            atom = _insert(catalog, connection, lookup, label_id, sequence)
            _insert_version(catalog, connection, atom, sequence, definition)
        else:
            atom = int(known.atom)
            label_id = catalog.open(known.sealed_id, "label id", lookup).decode()
    return _from_definition(atom, label_id, definition)


def _insert(catalog: Catalog, connection: Connection, lookup: str, label_id: str, sequence: int) -> int:
    sealed = catalog.seal(label_id.encode(), "label id", lookup)
    result = connection.execute(
        insert(schema.labels).values(value_digest=lookup, sealed_id=sealed, sequence=sequence)
    )
    key = result.inserted_primary_key
    if key is None or int(key[0]) > ATOM_MAX:
        raise StoreCorrupt(f"the label table is full; expected at most {ATOM_MAX} labels")
    return int(key[0])


def _insert_version(
    catalog: Catalog, connection: Connection, atom: int, sequence: int, definition: dict[str, object]
) -> None:
    sealed = catalog.seal(json.dumps(definition, sort_keys=True).encode(), "label", atom, sequence)
    connection.execute(insert(schema.label_versions).values(atom=atom, sequence=sequence, definition=sealed))


def _entry(catalog: Catalog, row: Row[*tuple[Any, ...]]) -> LabelEntry:
    label_id = catalog.open(row.sealed_id, "label id", row.value_digest).decode()
    definition = json.loads(catalog.open(row.definition, "label", row.atom, row.since))
    entry = _from_definition(row.atom, label_id, definition)
    if not _belongs(catalog, row, entry, definition):
        # The id is sealed for its digest and the meaning for its atom: that the two go together, no seal says.
        raise StoreCorrupt("the catalog was changed: a label has the meaning of another one; nothing is read")
    return entry


def _belongs(
    catalog: Catalog, row: Row[*tuple[Any, ...]], entry: LabelEntry, definition: dict[str, object]
) -> bool:
    """Say whether a meaning was sealed for the label whose id stands beside it."""
    if entry.definition is None:
        return bool(row.value_digest == catalog.digest("compound", *sorted(entry.parts)))
    if not entry.named:
        return bool(row.value_digest == catalog.digest("label value", entry.definition.canonical_bytes()))
    # Of a meaning from before names stood in them the journal says whose it is.
    name = definition.get("name") or journal.label_named(catalog, row.since, row.journaled)
    return name == entry.label_id


def _from_definition(atom: int, label_id: str, definition: dict[str, object]) -> LabelEntry:
    parts = definition.get("parts")
    if isinstance(parts, list):
        return LabelEntry(atom, label_id, None, frozenset(map(str, parts)))
    fields = definition["label"]
    if not isinstance(fields, dict):
        raise StoreCorrupt("a label's definition is malformed")
    return LabelEntry(atom, label_id, Label.from_mapping(fields))
