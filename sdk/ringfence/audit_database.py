"""A store's lineage, rights and reads as tables, for one auditor to ask in SQL.

Promise: it holds what this auditor may be told and no content; it shows what
stood when it was opened, and nothing later. Each question is authorised and
recorded; one who may no more audit what he opened gets no more answers.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence_governance.audit_desk import QUESTIONS, AuditDesk

from .boundary import public

ROWS_SHOWN = 20
"""Rows that are shown of an answer that is printed; the answer has all of them."""


@dataclass(frozen=True, slots=True, repr=False)
class AuditRows:
    """What one question gave.

    Args:
        columns: Their names.
        rows: In order; values as Python has them: text, numbers, lists, None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __repr__(self) -> str:
        shown = [" | ".join(map(str, row)) for row in (self.columns, *self.rows[:ROWS_SHOWN])]
        more = len(self.rows) - ROWS_SHOWN
        return "\n".join([*shown, *([f"… and {more} more"] if more > 0 else [])])

    def _repr_html_(self) -> str:
        def line(cells: Sequence[object], tag: str) -> str:
            return f"<tr>{''.join(f'<{tag}>{html.escape(str(cell))}</{tag}>' for cell in cells)}</tr>"

        body = "".join(line(row, "td") for row in self.rows[:ROWS_SHOWN])
        more = len(self.rows) - ROWS_SHOWN
        told = f"<p>… and {more} more</p>" if more > 0 else ""
        return f"<table>{line(self.columns, 'th')}{body}</table>{told}"

    def to_mapping(self) -> dict[str, Any]:
        """Return columns and rows as JSON-ready values; what JSON does not know is text."""
        return {"columns": list(self.columns), "rows": [list(map(_plain, row)) for row in self.rows]}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return str(value)


class AuditDatabase:
    """One auditor's tables and questions. Made by :func:`audit` or :meth:`Reader.audit_database`.

    Private names (`_AuditDatabase__*`) are not part of the interface; docs/threat-model.md says what they hold.
    """

    __slots__ = ("__close", "__desk", "__weakref__")

    def __init__(self, desk: AuditDesk, close: Callable[[], None] | None = None) -> None:
        self.__desk = desk
        self.__close = close

    def __repr__(self) -> str:
        return f"AuditDatabase(time={self.time!r}, as_of={self.as_of!r})"

    def __reduce__(self) -> str:
        raise TypeError("an audit database cannot be pickled; open it where it is needed")

    def __enter__(self) -> AuditDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def as_of(self) -> str:
        """An opaque handle of what it shows: equal for equal labels and rows."""
        return self.__desk.as_of

    @property
    def time(self) -> str:
        """When it was opened, UTC: what came later is not in it."""
        return self.__desk.at

    @property
    def questions(self) -> dict[str, str]:
        """Each macro as it is called, and what it answers; docs/audit-sql.md has examples."""
        return dict(QUESTIONS)

    @public
    def sql(self, query: str, parameters: Sequence[object] = ()) -> AuditRows:
        """Return what a question gives.

        Args:
            query: One SELECT, in DuckDB's dialect.
            parameters: Values for each `?` in it.

        Raises:
            Refused: A right that this was opened with is gone, or a document in it was erased since: open it anew.
            InvalidInput: It is no single SELECT, calls what may not be called, fails, or gives too many rows.
            AuditUnavailable: No record, no answer.
        """
        found = self.__desk.ask(query, parameters)
        return AuditRows(found.columns, found.rows)

    @public
    def export(self, path: str | Path) -> dict[str, Any]:
        """Write it as a DuckDB file to hand over, with a signed statement beside it; return the statement.

        Who holds the file asks it without a store, a right or a record, for as long as it exists.
        `ringfence audit check` says whether a file is the one that was signed.

        Args:
            path: A name that is free, in a folder that is there.

        Raises:
            Refused: As :meth:`sql`.
            InvalidInput: The name is taken, or there is too much to work out.
            StoreError: It cannot be written; nothing is left of it.
        """
        return self.__desk.export(Path(path))

    @public
    def close(self) -> None:
        """Let the tables go; and the store, if :func:`audit` opened it."""
        self.__desk.close()
        if self.__close is not None:
            self.__close()
