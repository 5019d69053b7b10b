"""Read filters from the command line: COLUMN, an operator, VALUE, and nothing more.

Promise: a filter is put together from the columns and operators that are
known; nothing in it is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import ringfence
from ringfence_governance.errors import InvalidInput

if TYPE_CHECKING:
    from ringfence_retrieval.filters import Field, Filter

CONDITION = re.compile(r"([A-Za-z_]+)(!=|<=|>=|\^=|=|<|>)(.*)", re.DOTALL)
OPERATORS: dict[str, Callable[[Field, object], Filter]] = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column != value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "^=": lambda column, value: column.startswith(value),
}


def filter_of(conditions: Sequence[str]) -> Filter | None:
    """Return the filter that what meets all conditions passes; None if there is none.

    Raises:
        InvalidInput: One is no condition, names no column, or has a value of another type.
    """
    from ringfence_retrieval.filters import every

    return every(map(_condition, conditions))


def _condition(text: str) -> Filter:
    match = CONDITION.fullmatch(text)
    if match is None:
        raise InvalidInput(
            f"--where: found {text!r}; expected COLUMN, one of {' '.join(OPERATORS)}, and VALUE, "
            "as in media_type=text/plain"
        )
    name, sign, value = match.groups()
    return OPERATORS[sign](ringfence.field(name), _typed(name, value))


def _typed(name: str, value: str) -> str | int:
    from ringfence_retrieval.filters import NUMBERS

    if name in NUMBERS and re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
        return int(value)
    return value
