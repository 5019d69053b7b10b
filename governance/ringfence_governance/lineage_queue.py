"""Keep the events of lineage until every backend has taken them.

Promise: an event is kept in the transaction that does what it tells of, and
sealed: killed at any instant, either both are there or neither is. Events
leave in the order they came in, and stand here until they were taken.

Source: docs/decisions/0019-lineage-events.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from . import catalog_schema as schema
from .catalog import Catalog
from .errors import StoreCorrupt

WAITING_MAX = 20_000
"""How many events may wait; the oldest beyond that are set aside in a file."""
READ_AT_ONCE = 200
_CURSORS = "lineage_cursors"
_SET_ASIDE = "lineage_set_aside"

_COLUMNS = schema.lineage_queue.c
_NEXT = (
    select(schema.lineage_queue)
    .where(_COLUMNS.number > bindparam("after"))
    .order_by(_COLUMNS.number)
    .limit(bindparam("count"))
)
_LENGTH = select(func.count(), func.min(_COLUMNS.at)).select_from(schema.lineage_queue)


@dataclass(frozen=True, slots=True)
class Waiting:
    """One event that waits.

    Args:
        number: Its place; later events have larger ones.
        event: As OpenLineage writes it.
    """

    number: int
    event: dict[str, Any]


def add(catalog: Catalog, connection: Connection, event_id: str, at: str, event: Mapping[str, Any]) -> None:
    """Let an event wait, in the caller's transaction."""
    plain = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
    connection.execute(
        insert(schema.lineage_queue).values(
            event_id=event_id, at=at, sealed=catalog.seal(plain, "lineage", event_id)
        )
    )


def length(connection: Connection) -> tuple[int, str | None]:
    """Return how many events wait, and when the oldest happened, UTC; None if none waits."""
    count, since = connection.execute(_LENGTH).one()
    return int(count), since


def after(
    catalog: Catalog, connection: Connection, number: int, count: int = READ_AT_ONCE
) -> Sequence[Waiting]:
    """Return the next events after a number, the oldest first.

    Raises:
        StoreCorrupt: One does not open.
    """
    rows = connection.execute(_NEXT, {"after": number, "count": count}).all()
    return [Waiting(int(row.number), _opened(catalog, row.event_id, row.sealed)) for row in rows]


def remove(connection: Connection, through: int) -> None:
    """Remove the events up to a number: all backends have them, or they stand in a file."""
    connection.execute(delete(schema.lineage_queue).where(_COLUMNS.number <= through))


def cursors(catalog: Catalog, connection: Connection) -> dict[str, int]:
    """Return which number each backend has taken, of those that are not all equally far."""
    return {
        str(name): int(number)
        for name, number in json.loads(catalog.meta(connection, _CURSORS) or "{}").items()
    }


def keep_cursors(catalog: Catalog, connection: Connection, found: Mapping[str, int]) -> None:
    """Remember how far each backend is."""
    _keep(catalog, connection, _CURSORS, json.dumps(dict(sorted(found.items()))))


def set_aside(catalog: Catalog, connection: Connection) -> int:
    """Return how many events were set aside since the store was made."""
    return int(catalog.meta(connection, _SET_ASIDE) or 0)


def count_set_aside(catalog: Catalog, connection: Connection, count: int) -> None:
    """Count more events that were set aside."""
    _keep(catalog, connection, _SET_ASIDE, str(set_aside(catalog, connection) + count))


def _keep(catalog: Catalog, connection: Connection, name: str, value: str) -> None:
    known = catalog.meta(connection, name)
    if known is None:
        catalog.set_meta(connection, name, value)
    elif known != value:
        connection.execute(update(schema.meta).where(schema.meta.c.name == name).values(value=value))


def _opened(catalog: Catalog, event_id: str, sealed: bytes) -> dict[str, Any]:
    event = json.loads(catalog.open(sealed, "lineage", event_id))
    if not isinstance(event, dict):
        raise StoreCorrupt("an event of lineage that waits is none")
    return event
