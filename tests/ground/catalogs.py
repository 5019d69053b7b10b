"""A store's catalog as one sees it from behind, whichever database keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, inspect, text

from ringfence_governance.database import Database

from .worlds import World


def database_of(world: World) -> Database:
    found: Database = world.ground.catalog._database
    return found


@contextmanager
def behind(world: World) -> Iterator[Connection]:
    """A writing connection that asks nobody; what is changed is kept."""
    with database_of(world).write() as connection:
        yield connection


def run(world: World, statement: str, **values: object) -> int:
    """Carry a statement out behind the store's back; return how many rows it met."""
    with behind(world) as connection:
        return connection.execute(text(statement), values).rowcount


def rows(world: World, statement: str, **values: object) -> list[tuple[Any, ...]]:
    with database_of(world).read() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def tables(world: World) -> list[str]:
    """The catalog's own tables; what the engine keeps beside them is left out."""
    with database_of(world).read() as connection:
        return sorted(set(inspect(connection).get_table_names(schema_of(connection))) - {"changes"})


def schema_of(connection: Connection) -> str | None:
    if connection.dialect.name == "sqlite":
        return None
    return str(connection.exec_driver_sql("SELECT current_schema()").scalar())


def shape(world: World) -> dict[str, Any]:
    """Tables, columns, keys, links and indexes."""
    with database_of(world).read() as connection:
        schema = schema_of(connection)
        inspector = inspect(connection)

        def columns(table: str) -> list[tuple[object, ...]]:
            return [
                (column["name"], str(column["type"]), column["nullable"], bool(column.get("autoincrement")))
                for column in inspector.get_columns(table, schema)
            ]

        return {
            table: {
                "columns": columns(table),
                "primary key": inspector.get_pk_constraint(table, schema)["constrained_columns"],
                "links": sorted(
                    (link["constrained_columns"], link["referred_table"], link["referred_columns"])
                    for link in inspector.get_foreign_keys(table, schema)
                ),
                "unique": sorted(
                    one["column_names"] for one in inspector.get_unique_constraints(table, schema)
                ),
                "indexes": sorted(
                    (one["name"] or "", one["column_names"], one["unique"])
                    for one in inspector.get_indexes(table, schema)
                ),
            }
            for table in tables(world)
        }
