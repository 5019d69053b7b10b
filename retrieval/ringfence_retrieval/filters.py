"""Say which documents a question is about, by what their readers are shown of them.

Promise: a filter is made of typed expressions, never of text that is run. A
column that is hidden is refused as one that does not exist. Only the metadata
of the reader's own documents is looked at, and none of it leaves by a filter.

Source: docs/decisions/0016-questions-about-metadata.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

from ringfence_governance import identifiers
from ringfence_governance.document_facts import FACTS
from ringfence_governance.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

COLUMNS = tuple(FACTS)
NUMBERS = frozenset({"size"})
TIMES = frozenset({"modified"})
COMPARISONS = frozenset({"==", "<", "<=", ">", ">=", "in", "prefix"})
JOINS = frozenset({"and", "or", "not"})
SIZE_MAX = 2000
"""How many comparisons, joins and values one filter may hold in all."""
DEPTH_MAX = 32
"""How deep `&`, `|` and `~` may be nested."""
VALUE_CHARACTERS_MAX = 4096
INT64 = range(-(2**63), 2**63)

Value: TypeAlias = str | int
Kind = Literal["==", "<", "<=", ">", ">=", "in", "prefix", "and", "or", "not"]


@dataclass(frozen=True, slots=True, repr=False)
class Filter:
    """Which documents are wanted. Made of :func:`field`; joined by `&`, `|` and `~`.

    Args:
        kind: What it says.
        column: Whose values are compared; empty for what is joined of `parts`.
        values: What they are compared with.
    """

    kind: Kind
    column: str = ""
    values: tuple[Value, ...] = ()
    parts: tuple[Filter, ...] = ()
    depth: int = dataclass_field(init=False, compare=False)
    size: int = dataclass_field(init=False, compare=False)

    def __post_init__(self) -> None:
        if any(type(part) is not Filter for part in self.parts):
            raise InvalidInput(f"filter: found {self.parts!r}; expected filters, each comparison in brackets")
        object.__setattr__(self, "depth", 1 + max((part.depth for part in self.parts), default=0))
        object.__setattr__(self, "size", 1 + len(self.values) + sum(part.size for part in self.parts))
        if self.depth > DEPTH_MAX or self.size > SIZE_MAX:
            raise InvalidInput(
                f"filter: found {self.size} comparisons and values, {self.depth} levels deep; "
                f"expected at most {SIZE_MAX}, {DEPTH_MAX} levels deep"
            )
        whole = self.parts or self.kind == "in" or len(self.values) == 1
        if not whole or self.kind not in (JOINS if self.parts else COMPARISONS):
            raise InvalidInput(f"filter: found {self.kind!r}; expected one made by ringfence.field")
        if not self.parts:
            object.__setattr__(
                self, "values", tuple(_value(column(self.column), each) for each in self.values)
            )

    def __and__(self, other: object) -> Filter:
        return _joined("and", self, other)

    def __or__(self, other: object) -> Filter:
        return _joined("or", self, other)

    def __invert__(self) -> Filter:
        return self.parts[0] if self.kind == "not" else Filter("not", parts=(self,))

    def __bool__(self) -> NoReturn:
        raise InvalidInput(
            "filter: found one where True or False is expected, as by 'and', 'or', 'not' or a < b < c; "
            "join filters by &, | and ~, each comparison in brackets"
        )

    def __repr__(self) -> str:
        if self.kind == "not":
            return f"~{self.parts[0]!r}"
        if self.parts:
            return f"({(' & ' if self.kind == 'and' else ' | ').join(map(repr, self.parts))})"
        named = f"field({self.column!r})"
        if self.kind == "in":
            return f"{named}.isin({list(self.values)!r})"
        if self.kind == "prefix":
            return f"{named}.startswith({self.values[0]!r})"
        return f"({named} {self.kind} {self.values[0]!r})"

    def canonical(self) -> list[Any]:
        """Return the filter as JSON-ready values, equal for equal filters alone."""
        return [self.kind, self.column, list(self.values), [part.canonical() for part in self.parts]]


class Field:
    """One column of the documents' metadata. Made by :func:`field`."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"field({self._name!r})"

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compared("==", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return ~self._compared("==", value)

    def __lt__(self, value: object) -> Filter:
        return self._compared("<", value)

    def __le__(self, value: object) -> Filter:
        return self._compared("<=", value)

    def __gt__(self, value: object) -> Filter:
        return self._compared(">", value)

    def __ge__(self, value: object) -> Filter:
        return self._compared(">=", value)

    def isin(self, values: Iterable[object]) -> Filter:
        """Return the filter that one of some values passes; none passes if there are none."""
        if isinstance(values, str | bytes) or not isinstance(values, Iterable):
            raise InvalidInput(f"{self._name}: found {values!r}; expected a list of values")
        return Filter("in", self._name, tuple(values))  # type: ignore[arg-type]

    def startswith(self, prefix: object) -> Filter:
        """Return the filter that text with this beginning passes."""
        if self._name in NUMBERS or self._name in TIMES:
            raise InvalidInput(f"{self._name}: found startswith, which is for text; expected a comparison")
        return self._compared("prefix", prefix)

    def _compared(self, kind: Kind, value: object) -> Filter:
        return Filter(kind, self._name, (value,))  # type: ignore[arg-type]


def field(name: str) -> Field:
    """Return a column of the documents' metadata, to compare it with a value.

    Text is compared by code points. A document that has no value passes no comparison, so that `!=` and `~`
    hold for it.

    Args:
        name: `path`, `title`, `media_type`, `modified` (UTC as 2026-01-31T00:00:00Z, or an aware datetime),
            `size` (bytes of the original), `source` or `source_kind`.

    Raises:
        InvalidInput: There is no such column. A value of another type is refused where it is compared.
    """
    return Field(column(name))


def column(name: object) -> str:
    """Return `name` if it is that of a column.

    Raises:
        InvalidInput: It is not; the columns are named.
    """
    if isinstance(name, str) and name in COLUMNS:
        return str(name)
    raise InvalidInput(f"column: found {name!r}; expected one of {', '.join(COLUMNS)}")


def every(filters: Iterable[Filter | None]) -> Filter | None:
    """Return the filter that what passes all of them passes; None if there is none."""
    found: Filter | None = None
    for each in filters:
        found = each if found is None else found if each is None else found & each
    return found


def checked(where: object) -> Filter | None:
    """Return a filter that somebody gave.

    Raises:
        InvalidInput: It is none.
    """
    if where is None:
        return None
    if type(where) is Filter:
        return where
    raise InvalidInput(
        f"where: found {where!r}; expected a filter such as ringfence.field('media_type') == 'text/plain'"
    )


def passing(where: Filter) -> tuple[list[str], Callable[[pa.Table], npt.NDArray[np.bool_]]]:
    """Return which columns a filter looks at, and what says of a table of documents which of them pass."""
    return sorted(_columns(where)), lambda facts: _passing(where, facts)


def _columns(where: Filter) -> set[str]:
    return {where.column} if where.column else {name for part in where.parts for name in _columns(part)}


def _passing(where: Filter, facts: pa.Table) -> npt.NDArray[np.bool_]:
    if where.kind == "not":
        return ~_passing(where.parts[0], facts)
    if where.parts:
        found = _passing(where.parts[0], facts)
        for part in where.parts[1:]:
            found = found & _passing(part, facts) if where.kind == "and" else found | _passing(part, facts)
        return found
    import pyarrow.compute as pc

    says: npt.NDArray[np.bool_] = pc.fill_null(_compared(where, facts[where.column], pc), False).to_numpy()
    return says


def _compared(where: Filter, values: pa.ChunkedArray, pc: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    if where.kind == "in":
        return pc.is_in(values, value_set=pa.array(where.values, values.type))
    if where.kind == "prefix":
        return pc.starts_with(values, where.values[0])
    compare = {
        "==": pc.equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }
    return compare[where.kind](values, pa.scalar(where.values[0], values.type))


def _joined(kind: Literal["and", "or"], left: Filter, right: object) -> Filter:
    if type(right) is not Filter:
        raise InvalidInput(f"filter: found {right!r}; expected a filter; put each comparison in brackets")
    parts = [part for side in (left, right) for part in (side.parts if side.kind == kind else (side,))]
    return Filter(kind, parts=tuple(parts))


def _value(name: str, value: object) -> Value:
    if name in NUMBERS:
        if type(value) is int and value in INT64:
            return value
        raise InvalidInput(f"{name}: found {value!r}; expected a whole number of bytes")
    if name in TIMES:
        return time(value, name)
    if type(value) is not str or len(value) > VALUE_CHARACTERS_MAX:
        raise InvalidInput(
            f"{name}: found {value!r}; expected text of at most {VALUE_CHARACTERS_MAX} characters"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"{name}: found a lone surrogate, which is no character; expected Unicode text")
    return value


def time(value: object, name: str) -> str:
    """Return a time, given as text or as an aware datetime, as text; `name` is what a refusal calls it.

    Raises:
        InvalidInput: It is none.
    """
    if isinstance(value, datetime):
        if value.utcoffset() is None or value.microsecond:
            raise InvalidInput(f"{name}: found {value!r}; expected a time with its zone, in whole seconds")
        try:
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except OverflowError:
            raise InvalidInput(f"{name}: found {value!r}; expected a time of the years 1 to 9999") from None
    return identifiers.time(value if type(value) is str else repr(value), name)
