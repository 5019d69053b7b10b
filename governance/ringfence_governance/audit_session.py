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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from . import audit_question
from .audit_macros import MACROS, VIEWS
from .audit_question import Known
from .audit_schema import SCHEMAS, table
from .audit_tables import AuditFacts
from .errors import InvalidInput, RingfenceError

QUERY_CHARACTERS_MAX = 100_000
ROWS_MAX = 1_000_000
"""How many rows one question may give; more is an error, never a part."""
LABEL_NOW = """
SELECT held.label FROM objects JOIN document_labels AS held ON held.document = objects.document
WHERE objects.id = ? AND held.until IS NULL"""
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

    __slots__ = ("_connection", "_explained", "_known", "_later", "_lock", "_reasons")

    def __init__(self, facts: AuditFacts, as_of: str) -> None:
        self._lock = threading.Lock()
        self._connection = duckdb.connect(":memory:", config={**SETTINGS})
        empty = {name: table(name, ()) for name in (*facts.later, "reasons")}
        fill(self._connection, {**facts.tables, **empty}, as_of)
        self._known = _known(self._connection)
        for lock in LOCKS:
            self._connection.execute(lock)
        self._later = dict(facts.later)
        self._reasons = facts.reasons
        self._explained: set[tuple[str, str]] | None = set()
        """Pairs of subject and label that stand in `reasons`; None once all do."""

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
                tree = self._parsed(query)
                names = audit_question.checked(tree, self._known)
                self._work_out(names)
                self._explain(names, tree, list(parameters))
                return self._answer(query, parameters, names)
            except RingfenceError:
                raise
            except Exception as error:  # noqa: BLE001  (a value Python has no form for: what is said of it is an answer)
                raise InvalidInput(f"the question failed: {error}") from None

    def tables(self) -> dict[str, pa.Table]:
        """Return all tables, those that take time worked out.

        Raises:
            InvalidInput: There is too much to work out.
        """
        with self._lock:
            self._work_out(frozenset(self._later))
            self._explain_all()
            return {name: self._table(name) for name in SCHEMAS}

    def _table(self, name: str) -> pa.Table:
        found: pa.Table = self._connection.sql(f'FROM "{name}"').to_arrow_table()
        return found.cast(table(name, ()).schema)

    def _parsed(self, query: str) -> dict[str, Any]:
        """Return a question as DuckDB's own parser reads it.

        Raises:
            InvalidInput: It is no single SELECT.
        """
        if not isinstance(query, str) or len(query) > QUERY_CHARACTERS_MAX:
            raise InvalidInput(f"question: expected text of at most {QUERY_CHARACTERS_MAX} characters")
        # Read to its end: a result that is not keeps the connection.
        ((text,),) = self._connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
        tree: dict[str, Any] = json.loads(text)
        if tree.get("error") or len(tree["statements"]) != 1:
            told = tree.get("error_message") or f"found {len(tree['statements'])} statements"
            if tree.get("error_type") == "not implemented":
                # DuckDB's own words are about JSON, which nobody asked for.
                told = "found a statement of another kind"
            raise InvalidInput(f"question: {told}; expected one SELECT")
        return tree

    def _explain(self, names: frozenset[str], tree: dict[str, Any], parameters: Sequence[object]) -> None:
        """Work out the reasons a question needs: of the pairs it names, of all if it names them otherwise.

        Raises:
            InvalidInput: There is too much to work out.
        """
        if self._explained is None or names.isdisjoint(("why", "reasons")):
            return
        calls = audit_question.arguments(tree, "why", parameters)
        if "reasons" in names or not all(len(call) == 2 and None not in call for call in calls):
            self._explain_all()
            return
        for who, asked in calls:
            for (label,) in self._connection.execute(LABEL_NOW, [asked]).fetchall():
                if (str(who), label) not in self._explained:
                    found = self._reasons(frozenset((str(who),)), frozenset((label,)))
                    _insert(self._connection, "reasons", found)
                    self._explained.add((str(who), label))

    def _explain_all(self) -> None:
        if self._explained is not None:
            found = self._reasons(None, None)
            # Those that stand there already are among them.
            self._connection.execute("DELETE FROM reasons")
            _insert(self._connection, "reasons", found)
            self._explained = None

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


def _known(connection: duckdb.DuckDBPyConnection) -> Known:
    """Return what a question can name: functions, the tables that were made here, and those of DuckDB itself."""
    kinds: dict[str, set[str]] = {}
    functions = "SELECT DISTINCT lower(function_name), function_type FROM duckdb_functions()"
    for name, kind in connection.execute(functions).fetchall():
        kinds.setdefault(name, set()).add(kind)
    relations = """
    SELECT lower(table_name), internal FROM duckdb_tables()
    UNION ALL SELECT lower(view_name), internal FROM duckdb_views()"""
    names: dict[bool, set[str]] = {False: set(), True: set()}
    for name, internal in connection.execute(relations).fetchall():
        names[bool(internal)].add(name)
    return Known(
        {name: frozenset(found) for name, found in kinds.items()},
        frozenset(names[False]),
        frozenset(names[True]),
    )
