"""Read a question in SQL as DuckDB's own parser reads it, and say what it calls.

Promise: a question that calls anything but plain functions of values, the
macros, and the few table functions named here is refused. Nothing here runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
KINDS = frozenset({"scalar", "aggregate", "macro", "window", "table_macro"})
"""Of functions that may stand in a question, but for the refused ones."""


def checked(tree: dict[str, Any], functions: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the tables and functions that a question names.

    Args:
        functions: Of what kinds DuckDB's own of each name are.

    Raises:
        InvalidInput: It calls what may not be called.
    """
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
