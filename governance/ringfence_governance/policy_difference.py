"""Say how the policy of a store differs from a policy's files, as far as one subject may change it.

Promise: nothing is changed here. What another tenant's policy holds has no
effect: a row or label of the files that is of another tenant is named as
beyond reach whether it stands there or not, and none that stands is named.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .ground import Moment
from .identifiers import tenant_of
from .journal import Change, ChangeKind
from .labels import Label, NamedLabel
from .policy_rights import Scope, moved_labels
from .policy_rows import Row, to_fields
from .policy_text import PolicyBundle

KEPT_GIVEN = "making the store gave it to its administrator; revoke it if it is to go"
KEPT_EVERYWHERE = "it holds in every tenant, and you may not administer each of them"
BEYOND = "it is of another tenant, or of every one, where you may not administer"


@dataclass(frozen=True, slots=True)
class Kept:
    """A row that stands, that the files do not hold, and that stays."""

    row: Row
    why: str


@dataclass(frozen=True, slots=True)
class PolicyDifference:
    """What it takes to make a policy what its files say; each part sorted.

    Args:
        added: Rows of the files that do not stand.
        removed: Rows that stand and are not in the files.
        defined: Labels of the files that the store does not know.
        redefined: Those that mean something else in the store.
        kept: Rows that stay though the files do not hold them.
        kept_labels: Labels that stay though the files do not hold them; none is ever removed.
        beyond: What of the files the subject may not change, each with why.
    """

    added: tuple[Row, ...]
    removed: tuple[Row, ...]
    defined: tuple[NamedLabel, ...]
    redefined: tuple[NamedLabel, ...]
    kept: tuple[Kept, ...]
    kept_labels: tuple[str, ...]
    beyond: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.added or self.removed or self.defined or self.redefined)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The journal rows that make it so, in their order: what goes, what labels mean, what comes."""
        return (
            *(Change("row_removed", row=row) for row in self.removed),
            *(_label_change("label_defined", label) for label in self.defined),
            *(_label_change("label_redefined", label) for label in self.redefined),
            *(Change("row_added", row=row) for row in self.added),
        )

    @property
    def meanings(self) -> dict[str, Label]:
        """Name → new meaning of each redefined label."""
        return {label.name: label.definition for label in self.redefined}

    @property
    def moved(self) -> frozenset[str]:
        """The labels that it puts into sets or takes out of them."""
        return moved_labels((*self.added, *self.removed))

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON-ready values: rows as lines of `policy.csv`, labels by name."""
        return {
            "added": [_line(row) for row in self.added],
            "removed": [_line(row) for row in self.removed],
            "defined": [label.name for label in self.defined],
            "redefined": [label.name for label in self.redefined],
            "kept": [{"row": _line(kept.row), "why": kept.why} for kept in self.kept],
            "kept_labels": list(self.kept_labels),
        }


def difference(
    moment: Moment, bundle: PolicyBundle, scope: Scope, given: Collection[Row] = ()
) -> PolicyDifference:
    """Return how what stands differs from a bundle, within what a subject may change.

    Args:
        moment: The store as it stands.
        bundle: What the files hold; its labels are all there are in them.
        scope: Whose policy the subject may administer; what stands in other tenants is not looked at.
        given: Rows that making the store gave its administrator.
    """
    standing, wanted = moment.policy.added, set(bundle.rows)
    beyond = [_beyond(_line(row)) for row in bundle.rows if not _within(row, moment, scope)]
    missing = [row for row in standing if row not in wanted and scope.sees(row)]
    kept = [Kept(row, why) for row in missing if (why := _why_kept(row, scope, given))]
    stays = {each.row for each in kept}
    named = _Labels.of(moment, bundle, scope)
    return PolicyDifference(
        added=_sorted(row for row in wanted if row not in standing and _within(row, moment, scope)),
        removed=_sorted(row for row in missing if row not in stays),
        defined=named.defined,
        redefined=named.redefined,
        kept=tuple(sorted(kept, key=lambda each: to_fields(each.row))),
        kept_labels=named.kept,
        beyond=(*sorted(beyond), *named.beyond),
    )


@dataclass(frozen=True, slots=True)
class _Labels:
    defined: tuple[NamedLabel, ...]
    redefined: tuple[NamedLabel, ...]
    kept: tuple[str, ...]
    beyond: tuple[str, ...]

    @classmethod
    def of(cls, moment: Moment, bundle: PolicyBundle, scope: Scope) -> _Labels:
        wanted = {label.name: label for label in bundle.labels}
        own = [wanted[name] for name in sorted(wanted) if tenant_of(name) in scope.tenants]
        known: Mapping[str, Label | None] = {
            label.name: entry.definition
            for label in own
            if (entry := moment.table.by_id.get(label.name)) is not None
        }
        return cls(
            defined=tuple(label for label in own if label.name not in known),
            redefined=tuple(
                label for label in own if known.get(label.name, label.definition) != label.definition
            ),
            kept=tuple(
                sorted(
                    entry.label_id
                    for entry in moment.table.entries.values()
                    if entry.named and entry.tenant in scope.tenants and entry.label_id not in wanted
                )
            ),
            beyond=tuple(
                _beyond(f"label {name}") for name in sorted(wanted) if tenant_of(name) not in scope.tenants
            ),
        )


def _within(row: Row, moment: Moment, scope: Scope) -> bool:
    """Whether a row of the files is his to have: of his tenant, or of every one and there already, or his to add."""
    return scope.sees(row) and (scope.may_change(row) or row in moment.policy.added)


def _why_kept(row: Row, scope: Scope, given: Collection[Row]) -> str:
    if not scope.may_change(row):
        return KEPT_EVERYWHERE
    return KEPT_GIVEN if row in given else ""


def _beyond(what: str) -> str:
    return f"{what}: {BEYOND}"


def _line(row: Row) -> str:
    return ", ".join(to_fields(row))


def _sorted(rows: Iterable[Row]) -> tuple[Row, ...]:
    return tuple(sorted(rows, key=to_fields))


def _label_change(kind: ChangeKind, label: NamedLabel) -> Change:
    return Change(kind, label=(label.name, label.definition.to_mapping()))
