"""What stock Casbin says of lines of `policy.csv`, a chain of actors, and all parts of a label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..governance.stock_casbin import Definition  # noqa: TID252  (test folders are no packages)
from ..governance.stock_casbin import StockCasbin as Stock  # noqa: TID252

__all__ = ["Definition", "StockCasbin"]


class StockCasbin:
    """Casbin's own enforcer over lines of `policy.csv`."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._stock = Stock([field.strip() for field in line.split(",")] for line in lines)
        self._answers: dict[tuple[object, ...], bool] = {}

    def may(
        self,
        chain: Sequence[str],
        parts: Mapping[str, Definition],
        action: str,
        *,
        purpose: str = "",
        now: str,
    ) -> bool:
        """Say whether every actor of the chain may do the action under every part of a label."""
        allowed = bool(parts) and all(
            self._enforces(actor, name, parts[name], action, purpose, now, place > 0)
            for name in parts
            for place, actor in enumerate(chain)
        )
        assert not self._stock.failures
        return allowed

    def _enforces(
        self,
        actor: str,
        name: str,
        definition: Definition,
        action: str,
        purpose: str,
        now: str,
        carried: bool,
    ) -> bool:
        """Ask Casbin; a question that is the same to the letter is asked once, for its rules never change."""
        question = (actor, name, repr(definition), action, purpose, now, carried)
        if question not in self._answers:
            self._answers[question] = self._stock.enforces(
                actor, name, definition, action, purpose, now, carried=carried
            )
        return self._answers[question]

    def owns(self, person: str, definition: Definition) -> bool:
        """Say whether the person, or a group he is in, owns the label."""
        return definition["owner"] in self._stock.principals(person)
