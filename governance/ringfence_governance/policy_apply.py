"""Make a store's policy what its files say, all at once, and say beforehand what that would open and close.

Promise: a difference is applied whole, in one transaction, or not at all. It
is judged as a whole, by the policy before it: a right that it would give does
not help to make it. What stands in its way is told at once, all of it; a file
that is not right in every line changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import authority, policy_rights
from .access_difference import AccessDifference, State, access_difference
from .errors import InvalidInput, PolicyRefused, Refused
from .ground import Ground, Moment
from .kept_changes import GIVEN, Reasoned, keep, made_with, until_still
from .label_table import LabelTable
from .labels import LabelEntry
from .policy_checks import check_names
from .policy_difference import PolicyDifference, difference
from .policy_rights import Scope
from .policy_rows import ACTIONS, Row
from .policy_text import PolicyBundle, read_policy
from .snapshot import Snapshot
from .subjects import Subject

APPLY, DIFF = "policy_apply", "policy_diff"
"""The verbs of the records."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What applying files would do.

    Args:
        difference: What would be changed.
        access: What that opens and closes.
        action: The action that was looked at.
        at: The time it was looked at, UTC.
        refusals: Why this subject may not apply them; empty if he may.
    """

    difference: PolicyDifference
    access: AccessDifference
    action: str
    at: str
    refusals: tuple[str, ...]

    def to_mapping(self) -> dict[str, Any]:
        """Return it as JSON-ready values."""
        return {
            "action": self.action,
            "at": self.at,
            **self.access.to_mapping(),
            **self.difference.to_mapping(),
            "refusals": list(self.refusals),
        }


@dataclass(frozen=True, slots=True)
class _Judged:
    """A difference, the policy with it, and what stands in its way."""

    moment: Moment
    difference: PolicyDifference
    after: Snapshot
    refusals: tuple[str, ...]
    declassified: int


def apply_policy(ground: Ground, subject: Subject, path: Path, reason: Reasoned) -> PolicyDifference:
    """Make the policy what a directory, or a `policy.csv`, says; return what was changed.

    Rows of the subject's tenant that the files do not hold are removed, but for the rules that making the
    store gave its administrator. Rows for every tenant are the subject's if he may administer each tenant
    that the policy or a label names. Labels that the files do not hold stay.

    Raises:
        Refused: He may not administer, or not all that the difference touches; a label would be lower and he
            may not declassify it; or he could not administer any more. Lists all of it.
        PolicyRefused: A file is malformed. The policy that stands stays.
        StoreBusy: Others kept changing the policy.
    """
    bundle = _read(ground, subject, path, APPLY)
    given = _given(ground)

    def attempt() -> PolicyDifference:
        judged = _judge(ground, subject, bundle, given, APPLY)
        _refuse_all(ground, subject, judged.refusals)
        _record(ground, subject, judged)
        if judged.difference.changed:
            keep(ground, subject, judged.moment, judged.difference.changes, reason, APPLY)
        return judged.difference

    return until_still(attempt)


def diff_policy(ground: Ground, subject: Subject, path: Path, action: str) -> Preview:
    """Say what :func:`apply_policy` would do, and whose access would be opened and closed by it.

    Args:
        path: A directory, or a `policy.csv`.
        action: One of the policy's actions, except `delegate`: who may carry is told with each.

    Raises:
        Refused: The subject may not administer.
        PolicyRefused: A file is malformed.
        InvalidInput: The action is none.
    """
    if action not in ACTIONS - {"delegate"}:
        expected = ", ".join(sorted(ACTIONS - {"delegate"}))
        raise InvalidInput(f"action: found {action!r}; expected one of {expected}")
    bundle = _read(ground, subject, path, DIFF)
    judged = _judge(ground, subject, bundle, _given(ground), DIFF)
    moment, found = judged.moment, judged.difference
    access = access_difference(
        State(moment.snapshot, moment.table),
        State(judged.after, _table_after(moment.table, found)),
        rows=(*found.added, *found.removed),
        labels=[label.name for label in (*found.defined, *found.redefined)],
        tenants=frozenset({subject.tenant}),
        action=action,
        now=moment.now,
    )
    counts = {"opened": access.opened, "closed": access.closed}
    ground.record(subject, DIFF, "administer", "allowed", counts=counts, detail={"tenant": subject.tenant})
    return Preview(found, access, action, moment.now, judged.refusals)


def _read(ground: Ground, subject: Subject, path: Path, verb: str) -> PolicyBundle:
    """Return what the files hold, for one who may administer; labels of his tenant are known to them."""
    moment = ground.moment()
    tenants = _scope(ground, moment, subject, verb).tenants
    known = [entry.label_id for entry in moment.table.entries.values() if entry.tenant in tenants]
    return read_policy(path, known)


def _given(ground: Ground) -> frozenset[Row]:
    made = made_with(ground)
    return frozenset(
        entry.change.row for entry in made if entry.why == GIVEN and entry.change.row is not None
    )


def _judge(
    ground: Ground, subject: Subject, bundle: PolicyBundle, given: frozenset[Row], verb: str
) -> _Judged:
    moment = ground.moment()
    found = difference(moment, bundle, _scope(ground, moment, subject, verb), given)
    names = frozenset(moment.table.by_id).union(label.name for label in found.defined)
    if findings := check_names(found.added, names, bundle.source):
        raise PolicyRefused(findings)
    after = moment.snapshot.changed(added=found.added, removed=found.removed)
    lowered = policy_rights.lowerings(moment, after, moved=found.moved, redefined=found.meanings)
    refusals = tuple(_refusals(moment, subject, found, after, lowered))
    return _Judged(moment, found, after, refusals, len(lowered))


def _refusals(
    moment: Moment,
    subject: Subject,
    found: PolicyDifference,
    after: Snapshot,
    lowered: policy_rights.Lowered,
) -> Iterator[str]:
    """Yield everything that keeps the subject from applying a difference."""
    yield from found.beyond
    for name, reasons in policy_rights.not_declassified(moment, subject, lowered).items():
        yield f"label {name} would be lower ({', '.join(reasons)}): that needs 'declassify' on it as it stands"
    if not authority.allowed_on_policy(after, subject, subject.tenant, "administer", moment.now):
        yield (
            f"afterwards {subject.person} could no longer administer {subject.tenant}/policy: "
            "keep a rule that lets him"
        )


def _scope(ground: Ground, moment: Moment, subject: Subject, verb: str) -> Scope:
    scope = policy_rights.scope_of(moment, subject)
    if not scope.tenants:
        policy_rights.refuse(ground, subject, verb)
    return scope


def _refuse_all(ground: Ground, subject: Subject, refusals: tuple[str, ...]) -> None:
    if not refusals:
        return
    ground.record(subject, APPLY, "administer", "refused", counts={"refusals": len(refusals)})
    raise Refused(
        "the policy is not applied; nothing was changed:\n" + "\n".join(f"  {each}" for each in refusals),
        hint="mend what is listed, or ask who may; 'ringfence policy diff' shows what would change",
    )


def _record(ground: Ground, subject: Subject, judged: _Judged) -> None:
    # Recorded first: if it cannot be, the change is not made.
    found = judged.difference
    counts = {
        "added": len(found.added),
        "removed": len(found.removed),
        "defined": len(found.defined),
        "redefined": len(found.redefined),
        "lowered": judged.declassified,
    }
    detail: dict[str, object] = {"tenant": subject.tenant, "changed": found.changed}
    ground.record(subject, APPLY, "administer", "allowed", counts=counts, detail=detail)


def _table_after(table: LabelTable, found: PolicyDifference) -> LabelTable:
    """Return the labels as they would be; new ones get atoms beyond all there are."""
    beyond = max(table.entries, default=0) + 1
    entries = [
        *(LabelEntry(beyond + place, each.name, each.definition) for place, each in enumerate(found.defined)),
        *(
            LabelEntry(table.by_id[label.name].atom, label.name, label.definition)
            for label in found.redefined
        ),
    ]
    return table.changed(table.version + 1, entries) if entries else table
