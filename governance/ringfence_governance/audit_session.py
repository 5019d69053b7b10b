"""A DuckDB that holds one auditor's tables and can do nothing but answer questions about them.

Promise: one SELECT at a time, in a transaction that can write nothing, on a
database in memory that reaches no file, no network, no extension, no variable of
the process, and whose configuration is locked. A function that is not a plain
one of values, or one of the macros, is refused.

Source: docs/decisions/0018-duckdb-for-the-auditor.md.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from .audit_macros import MACROS, VIEWS
from .audit_schema import SCHEMAS, table
from .audit_tables import AuditFacts
from .errors import InvalidInput

QUERY_CHARACTERS_MAX = 100_000
ROWS_MAX = 1_000_000
"""How many rows one question may give; more is an error, never a part."""
MEMORY = "2GB"
TIME_MAX_MS = 60_000

SETTINGS: Mapping[str, str | bool] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    # Nothing is spilled to a disk: what it holds is for the auditor alone.
    "temp_directory": "",
    "max_temp_directory_size": "0B",
    "memory_limit": MEMORY,
}
LOCKS = (
    "SET TimeZone = 'UTC'",
    f"SET max_execution_time = {TIME_MAX_MS}",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)

TABLE_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
"""Besides the macros. All others of DuckDB read files, memory, logs, or text as SQL."""
REFUSED_FUNCTIONS = frozenset(
    {
        "current_setting",
        "json_deserialize_sql",
        "nextval",
        "query",
        "query_table",
        "setseed",
        "setval",
        "sleep_ms",
        "write_log",
    }
)
"""Functions of values that do, or tell, something else."""
KINDS = frozenset({"scalar", "aggregate", "macro", "window", "table_macro"})
"""Of functions that may stand in a question, but for the refused ones."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What one question gave.

    Args:
        columns: Their names.
        rows: In order.
        asked: Names of the macros that stood in it.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    asked: tuple[str, ...]


class AuditSession:
    """One auditor's tables."""

    __slots__ = ("_connection", "_functions", "_later", "_lock")

    def __init__(self, facts: AuditFacts, as_of: str) -> None:
        self._lock = threading.Lock()
        self._connection = duckdb.connect(":memory:", config={**SETTINGS})
        fill(self._connection, {**facts.tables, **{name: table(name, ()) for name in facts.later}}, as_of)
        self._functions = _functions(self._connection)
        for lock in LOCKS:
            self._connection.execute(lock)
        self._later = dict(facts.later)

    def __repr__(self) -> str:
        return "AuditSession(…)"

    def __reduce__(self) -> str:
        raise TypeError("an audit session cannot be pickled")

    def close(self) -> None:
        """Let the tables go."""
        with self._lock:
            self._connection.close()

    def ask(self, query: str, parameters: Sequence[object] = ()) -> Rows:
        """Return what a question gives.

        Args:
            query: One SELECT.
            parameters: Values for each `?`.

        Raises:
            InvalidInput: It is no single SELECT, calls what may not be called, fails, or gives too many rows.
        """
        with self._lock:
            try:
                names = self._names(query)
                self._work_out(names)
                return self._answer(query, parameters, names)
            except duckdb.Error as error:
                raise InvalidInput(f"the question failed: {error}") from None

    def tables(self) -> dict[str, pa.Table]:
        """Return all tables, those that take time worked out.

        Raises:
            InvalidInput: There is too much to work out.
        """
        with self._lock:
            self._work_out(frozenset(self._later))
            return {name: self._table(name) for name in SCHEMAS}

    def _table(self, name: str) -> pa.Table:
        found: pa.Table = self._connection.sql(f'FROM "{name}"').to_arrow_table()
        return found.cast(table(name, ()).schema)

    def _names(self, query: str) -> frozenset[str]:
        """Return the tables and functions that a question names.

        Raises:
            InvalidInput: It is no single SELECT, or calls what may not be called.
        """
        if not isinstance(query, str) or len(query) > QUERY_CHARACTERS_MAX:
            raise InvalidInput(f"question: expected text of at most {QUERY_CHARACTERS_MAX} characters")
        # Read to its end: a result that is not keeps the connection.
        ((text,),) = self._connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        tree = json.loads(text)
        if tree.get("error") or len(tree["statements"]) != 1:
            told = tree.get("error_message") or f"found {len(tree['statements'])} statements"
            raise InvalidInput(f"question: {told}; expected one SELECT")
        tables, called, as_tables = _called(tree)
        ours = {macro.name for macro in MACROS}
        for name in sorted(called | as_tables):
            plain = self._functions.get(name, frozenset())
            ok = name in ours or name in TABLE_FUNCTIONS or (name not in as_tables and bool(plain & KINDS))
            if not ok or name in REFUSED_FUNCTIONS:
                raise InvalidInput(
                    f"question: found the function {name!r}, which may not be called here; expected plain "
                    f"functions of values, or one of {', '.join(sorted(ours))}"
                )
        return frozenset(tables | called | as_tables)

    def _work_out(self, names: frozenset[str]) -> None:
        """Fill the tables that a question needs and that were not worked out yet."""
        needed = set(names)
        for macro in MACROS:
            if macro.name in names:
                needed.update(name for name in self._later if name in macro.sql)
        for name in sorted(needed & self._later.keys()):
            found = self._later[name]()
            _insert(self._connection, name, found)
            del self._later[name]

    def _answer(self, query: str, parameters: Sequence[object], names: frozenset[str]) -> Rows:
        self._connection.execute("BEGIN TRANSACTION READ ONLY")
        try:
            cursor = self._connection.execute(query, list(parameters))
            columns = tuple(str(each[0]) for each in cursor.description or ())
            rows = cursor.fetchmany(ROWS_MAX + 1)
            cursor.fetchmany(1)
        finally:
            with suppress(duckdb.Error):
                self._connection.execute("ROLLBACK")
        if len(rows) > ROWS_MAX:
            raise InvalidInput(f"the question gives more than {ROWS_MAX} rows; expected fewer; add a LIMIT")
        asked = tuple(macro.name for macro in MACROS if macro.name in names)
        return Rows(columns, tuple(map(tuple, rows)), asked)


def fill(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, pa.Table], as_of: str) -> None:
    """Make the tables, views and macros in an empty database."""
    for name, found in tables.items():
        connection.register("arriving", found)
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM arriving')  # noqa: S608
        connection.unregister("arriving")
    connection.execute("UPDATE about SET as_of = ?", [as_of])
    for view in VIEWS:
        connection.execute(view)
    for macro in MACROS:
        connection.execute(macro.statement())


def _insert(connection: duckdb.DuckDBPyConnection, name: str, found: pa.Table) -> None:
    connection.register("arriving", found)
    try:
        connection.execute(f'INSERT INTO "{name}" SELECT * FROM arriving')  # noqa: S608
    finally:
        connection.unregister("arriving")


def _functions(connection: duckdb.DuckDBPyConnection) -> Mapping[str, frozenset[str]]:
    """Return of what kinds the functions of each name are."""
    found: dict[str, set[str]] = {}
    query = "SELECT DISTINCT lower(function_name), function_type FROM duckdb_functions()"
    for name, kind in connection.execute(query).fetchall():
        found.setdefault(name, set()).add(kind)
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _called(tree: object) -> tuple[set[str], set[str], set[str]]:
    """Return the tables, the functions of values and the table functions that a parsed question names."""
    tables, called, as_tables = set[str](), set[str](), set[str]()
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            function = node.get("function")
            as_tables.add(str(function.get("function_name") if isinstance(function, dict) else "?").lower())
        elif kind == "BASE_TABLE":
            tables.add(str(node.get("table_name")).lower())
        if "function_name" in node:
            called.add(str(node["function_name"]).lower())
    return tables, called - as_tables, as_tables


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
