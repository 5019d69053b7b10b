"""Keep changes of policy that were judged: all of them in one transaction, or none.

Promise: what is kept was judged by the policy it changes; if that changed in
the meantime nothing is kept, and the change is judged again. Each row and each
label of it is a row of the journal with who, when, why and ticket.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

from sqlalchemy import Connection

from . import catalog_labels, journal, policy_lineage, publications
from .errors import InvalidInput, StoreBusy
from .ground import Ground, Moment
from .journal import Change, Entry
from .labels import Label
from .subjects import Subject

T = TypeVar("T")

WHY_CHARACTERS_MAX = 2000
ATTEMPTS_MAX = 40
"""How often a change is judged again because another one came first."""
PAUSE_S = 0.005
"""How much longer each attempt waits than the one before, so that many who change at once all get through."""
MADE = "the store was made"
"""The reason in the journal rows that making a store writes for what its policy's files hold."""
GIVEN = "the store was made; this is its administrator's"
"""The reason in those it writes for the rules its administrator gets besides."""


@dataclass(frozen=True, slots=True)
class Reasoned:
    """Why a change is made.

    Args:
        why: For whoever reads the journal; not empty.
        ticket: Where it was asked for; may be empty.
    """

    why: str
    ticket: str = ""

    def __post_init__(self) -> None:
        if not self.why.strip() or len(self.why) > WHY_CHARACTERS_MAX:
            raise InvalidInput(
                f"why: found {len(self.why)} characters; expected 1 to {WHY_CHARACTERS_MAX}; "
                "say why it is changed"
            )


class PolicyMoved(StoreBusy):
    """The policy a change was judged by is no more the one that stands."""


def keep(
    ground: Ground, subject: Subject, judged: Moment, changes: Sequence[Change], reason: Reasoned, job: str
) -> None:
    """Journal changes, and give the labels among them their meaning, in one transaction.

    Args:
        judged: The moment they were judged at.
        changes: In the order in which they are journaled.
        job: What is done, for lineage.

    Raises:
        PolicyMoved: The policy is another one by now. Nothing was kept.
    """
    try:
        _keep(ground, subject, judged, changes, reason, job)
    except PolicyMoved:
        raise
    except BaseException as error:
        policy_lineage.tell_failure(ground, subject, job, judged, changes, error)
        raise
    ground.lineage.deliver_soon()


def _keep(
    ground: Ground, subject: Subject, judged: Moment, changes: Sequence[Change], reason: Reasoned, job: str
) -> None:
    record = signed(ground, subject, reason)
    with ground.catalog.write() as connection:
        _refuse_moved(connection, judged)
        numbers = journal.append(ground.catalog, connection, changes, record)
        entries = [
            catalog_labels.define(ground.catalog, connection, name, Label.from_mapping(fields), number)
            for change, number in zip(changes, numbers, strict=True)
            if change.label is not None
            for name, fields in [change.label]
        ]
        # Keys lie in a database of their own: one of a label that is not kept after all opens nothing.
        ground.keys.ensure_label_keys(entries)
        policy_lineage.tell(ground, connection, subject, job, judged, changes, entries)


def signed(ground: Ground, subject: Subject, reason: Reasoned) -> dict[str, object]:
    """Return what a journal row says besides the change: who, on whose word, why, and the ticket."""
    return {
        "who": subject.person,
        "asserted_by": ground.asserted_by,
        "why": reason.why,
        "ticket": reason.ticket,
    }


def until_still(change: Callable[[], T]) -> T:
    """Make a change against the policy that stands; judge it again if another came first.

    Raises:
        StoreBusy: Another came first each time.
    """
    for attempt in range(1, ATTEMPTS_MAX):
        try:
            return change()
        except PolicyMoved:
            time.sleep(attempt * PAUSE_S)
    return change()


def made_with(ground: Ground) -> tuple[Entry, ...]:
    """Return the journal rows that making the store wrote: all before its first publication."""
    with ground.catalog.read() as connection:
        first = publications.first(connection)
        rows = journal.entries(ground.catalog, connection)
        return tuple(takewhile(lambda entry: entry.sequence < first, rows))


def _refuse_moved(connection: Connection, judged: Moment) -> None:
    if journal.version(connection) != judged.policy.version:
        raise PolicyMoved("the policy kept changing in the meantime; nothing was changed", hint="try again")
