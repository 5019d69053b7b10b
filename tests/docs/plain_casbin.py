"""Casbin as it comes, over any model of our requests and any rows, well-formed or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import casbin

from ringfence_governance.identifiers import TIME_MAX, TIME_MIN, tenant_of
from ringfence_governance.labels import Label

ENDS = (TIME_MIN, TIME_MAX)


class Things:
    """A request's object with any attributes."""

    def __init__(self, **values: object) -> None:
        self.__dict__.update(values)


class PlainCasbin:
    """One model over one policy, asked actor by actor.

    Args:
        model: The text of a `model.conf`.
        rows: The fields of each line of a `policy.csv`, unchecked.
        knows: Whether a principal is known at a time, for a model that asks.
    """

    def __init__(
        self, model: str, rows: Iterable[Sequence[str]], knows: Callable[[str, str], bool] = lambda *_: True
    ) -> None:
        self._enforcer = casbin.Enforcer(casbin.Enforcer.new_model(text=model))
        self._facts: dict[str, tuple[int, frozenset[str]]] = {}
        self._knows = knows
        for kind, *fields in rows:
            if kind == "p":
                nbf, exp = (end if text == "-" else text for text, end in zip(fields[6:8], ENDS, strict=True))
                self._enforcer.add_policy(*fields[:6], nbf, exp, *fields[8:])
            elif kind == "f":
                words = frozenset() if fields[2] == "-" else frozenset(fields[2].split("|"))
                self._facts[fields[0]] = (int(fields[1]), words)
            else:
                self._enforcer.add_named_grouping_policy(kind, *fields)
        has = {kind: self._enforcer.get_named_role_manager(kind).has_link for kind in ("g", "g3")}
        self._enforcer.add_function("member", lambda who, name: name != "" and has["g"](who, name))
        self._enforcer.add_function("reach", lambda who, names: any(has["g"](who, name) for name in names))
        self._enforcer.add_function(
            "purpose_ok", lambda what, names: any(has["g3"](what, name) for name in names)
        )

    def allows(
        self,
        chain: Sequence[str],
        object_id: str,
        label: Label | None,
        action: str,
        purpose: str,
        now: str,
        claims: Mapping[str, object] | None = None,
    ) -> bool:
        """Say whether Casbin allows it to each actor of the chain; claims take the place of rows `f`."""
        of = tenant_of(object_id)
        found = label or Label(of, f"{of}/user:nobody")
        thing = Things(
            id=object_id,
            dom=found.tenant,
            nbf=found.valid_from,
            exp=found.valid_until,
            level=found.level,
            comps=found.compartments,
            purposes=found.purposes,
            owner=found.owner if label else "",
            readers=found.readers,
            denied=found.denied,
            labelled=label is not None,
        )
        context = Things(now=now, purpose=purpose)
        return all(
            self._enforcer.enforce(
                self._subject(actor, place > 0, now, claims or {}), tenant_of(actor), thing, action, context
            )
            for place, actor in enumerate(chain)
        )

    def _subject(self, actor: str, carried: bool, now: str, claims: Mapping[str, object]) -> Things:
        level, words = self._facts.get(actor, (0, frozenset[str]()))
        claimed = claims.get("compartments", words)
        assert isinstance(claimed, list | frozenset)
        return Things(
            id=actor,
            principals=actor,
            level=claims.get("level", level),
            comps=frozenset(claimed),
            known=self._knows(actor, now),
            carried=carried,
        )
