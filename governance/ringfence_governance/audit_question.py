"""Read a question in SQL as DuckDB's own parser reads it, and say what it calls.

Promise: a question that calls anything but plain functions of values, the
macros, and the few table functions named here is refused, and so is one that
looks at a table that is not the auditor's: DuckDB's own tell settings of the
process. Nothing here runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .audit_macros import MACROS
from .errors import InvalidInput

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
SHOWN = frozenset({'"tables"', "__show_tables_expanded"})
"""What SHOW may show besides the auditor's tables; a setting is shown by its name."""
KINDS = frozenset({"scalar", "aggregate", "macro", "window", "table_macro"})
"""Of functions that may stand in a question, but for the refused ones."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a question can name.

    Args:
        functions: Of what kinds DuckDB's own functions of each name are.
        tables: Names of the auditor's tables and views.
        others: Names of DuckDB's own.
    """

    functions: Mapping[str, frozenset[str]]
    tables: frozenset[str]
    others: frozenset[str]


def checked(tree: dict[str, Any], known: Known) -> frozenset[str]:
    """Return the tables and functions that a question names.

    Raises:
        InvalidInput: It calls what may not be called, or looks at what is not the auditor's.
    """
    _refuse_other_tables(tree, known)
    functions = known.functions
    tables, called, as_tables = _called(tree)
    ours = {macro.name for macro in MACROS}
    for name in sorted(called | as_tables):
        plain = name not in as_tables and not functions.get(name, frozenset()).isdisjoint(KINDS)
        if not (name in ours or name in TABLE_FUNCTIONS or plain) or name in REFUSED_FUNCTIONS:
            raise InvalidInput(
                f"question: found the function {name!r}, which may not be called here; expected plain "
                f"functions of values, or one of {', '.join(sorted(ours))}"
            )
    return frozenset(tables | called | as_tables)


def arguments(tree: object, name: str, parameters: Sequence[object]) -> list[list[object]]:
    """Return what each call of a macro is given, None for what is neither a text nor a parameter."""

    def value(argument: dict[str, Any]) -> object:
        node = argument["expression"] if not argument.get("name") else {}
        if node.get("type") == "VALUE_PARAMETER" and str(node.get("identifier", "")).isdecimal():
            place = int(node["identifier"]) - 1
            return parameters[place] if 0 <= place < len(parameters) else None
        literal = node.get("literal")
        if (
            node.get("type") == "VALUE_CONSTANT"
            and isinstance(literal, dict)
            and literal.get("kind") == "STRING"
        ):
            return literal.get("text")
        return None

    return [
        [value(each) for each in node.get("arguments", ())]
        for node in _nodes(tree)
        if str(node.get("function_name", "")).lower() == name
    ]


def _refuse_other_tables(tree: object, known: Known) -> None:
    nodes = list(_nodes(tree))
    # Of a name that is the question's own it does not matter where it holds, if DuckDB has none of that name.
    named = {str(each["key"]).lower() for node in nodes for each in _named_queries(node)}
    for node in nodes:
        name = str(node.get("table_name", "")).lower()
        plain = not node.get("catalog_name") and not node.get("schema_name")
        own = (node.get("catalog_name") or "memory", node.get("schema_name") or "main") == ("memory", "main")
        if node.get("type") == "BASE_TABLE":
            may = (own and name in known.tables) or (plain and name in named - known.others)
        elif node.get("type") == "SHOW_REF":
            may = name in SHOWN or (own and name in known.tables) or bool(node.get("query"))
        else:
            continue
        if not may:
            raise InvalidInput(f"question: found the table {name!r}; expected one that SHOW TABLES names")


def _named_queries(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the queries that a part of a question gives names to, by WITH."""
    found = node.get("cte_map")
    return list(found.get("map", ())) if isinstance(found, dict) else []


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
