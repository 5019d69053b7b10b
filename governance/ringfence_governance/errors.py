"""What can go wrong in governance, as one small tree.

::

    RingfenceError
    ├── InvalidInput            a value is malformed: mend it and call again
    │   ├── InvalidIdentifier
    │   ├── InvalidLabel
    │   └── PolicyRefused       carries every finding, each with file and line
    ├── Refused                 the subject may not do this; says nothing of what exists
    ├── NotReadable             unknown and unreadable are this one answer
    ├── Gone                    what stood at that time is not kept any more, for nobody
    ├── TimedOut                a read took longer than its caller allows: ask for less, or allow more
    ├── Cancelled               its caller waits for a read no more
    ├── WriteRefused            a row lacks label, run or lineage, or would lower a label
    ├── StoreError              the store itself: open the right one, or repair it
    │   ├── StoreVersionMismatch
    │   ├── StoreBusy           another writer holds the lease: wait or retry
    │   ├── SequenceUnconfirmed nobody can say in time whether anything changed, so the answer is no
    │   ├── WriterExpelled      this writer lost its lease: start again
    │   └── StoreCorrupt        a row does not open, or a seal does not fit
    │       ├── RecheckFailed   Casbin says no to a row that was about to leave: an alarm
    │       └── ErasedRow       a row of an erased document is in the tables again: an alarm
    ├── KeyUnavailable          the key file is missing, misplaced or too open
    └── AuditUnavailable        no record could be made durable, so no result left

Messages say what was found, what was expected and what to do. A message to a
reader without rights says nothing about what exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class RingfenceError(Exception):
    """Base of every error Ringfence raises on purpose."""

    hint: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class InvalidInput(RingfenceError):
    """A value is malformed. Nothing was changed."""


class InvalidIdentifier(InvalidInput):
    """An identifier is not in canonical form."""


class InvalidLabel(InvalidInput):
    """A label's fields contradict its definition."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a policy file: where, what was found, expected, and what to do."""

    file: str
    line: int
    found: str
    expected: str
    do: str

    def __str__(self) -> str:
        # A row that was given by itself stands in no file: `<row>`.
        where = "" if self.file.startswith("<") else f"{self.file}:{self.line}: "
        return f"{where}{self.found}; expected {self.expected}; {self.do}"


class PolicyRefused(InvalidInput):
    """A policy does not load. All findings are listed; the running policy stays."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__("policy refused:\n" + "\n".join(f"  {finding}" for finding in findings))


class Refused(RingfenceError):
    """The subject may not do this. The message is the same whatever exists."""


class NotReadable(RingfenceError):
    """There is no such object for this subject: unknown and unreadable are one answer."""

    def __init__(self) -> None:
        super().__init__(
            "nothing you may read has this id", hint="check the id, or ask an auditor of the tenant"
        )


class Gone(RingfenceError):
    """The rows of that time are kept for nobody any more, or there were none yet. Nothing left."""

    def __init__(self, at: str) -> None:
        super().__init__(
            f"at: found {at!r}; the rows of that time are not kept any more",
            hint="ask of a later time, or leave it out to ask of now",
        )


class TimedOut(RingfenceError):
    """A read took longer than its caller allows. Nothing left."""

    def __init__(self, timeout: float) -> None:
        super().__init__(
            f"timeout: found no answer within {timeout:g} s; nothing left",
            hint="allow more time, or ask for less; the first question opens what later ones find open",
        )


class Cancelled(RingfenceError):
    """A read was ended by its caller. Nothing left."""

    def __init__(self) -> None:
        super().__init__("the read was cancelled; nothing left")


class WriteRefused(RingfenceError):
    """A row lacks what every row must carry, or would lower a label. Nothing was written."""


class StoreError(RingfenceError):
    """The store cannot be used as asked."""


class StoreVersionMismatch(StoreError):
    """The store was written by another format version."""


class StoreBusy(StoreError):
    """Another writer holds the lease, or the store kept changing during a read."""


class SequenceUnconfirmed(StoreError):
    """Whether the policy changed cannot be learnt within the stated time, so nothing is answered."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"{found}; nothing is answered", hint="see whether the disk or another process holds it"
        )


class WriterExpelled(StoreError):
    """This writer's lease was taken over; nothing of it was published."""


class StoreCorrupt(StoreError):
    """A row does not open under the key its label and document say."""


class RecheckFailed(StoreCorrupt):
    """Asked once more, Casbin refused a row that was about to leave. Nothing left; the log has an alarm."""

    def __init__(self, atoms: tuple[int, ...]) -> None:
        self.atoms = atoms
        super().__init__("a row about to leave was not allowed when asked again; no result leaves")


class ErasedRow(StoreCorrupt):
    """A row of an erased document was about to leave. Nothing left; the log has an alarm."""

    def __init__(self) -> None:
        super().__init__(
            "rows of an erased document are in the store again, as of an older copy; no result leaves",
            hint="close the store and open it again: what was erased is then erased from it",
        )


class KeyUnavailable(RingfenceError):
    """The master key cannot be used: missing, misplaced, too open, or of another store."""


class AuditUnavailable(RingfenceError):
    """The audit record could not be made durable, so no result left."""


@contextmanager
def standing(done: str, hint: str) -> Iterator[None]:
    """Say of a disk or a key that fails after a change was made that the change stands.

    Args:
        done: What stands, and what is left to be done.

    Raises:
        StoreError: As it was raised, of the same type, with that instead of what it says was not changed.
        KeyUnavailable: The same.
    """
    try:
        yield
    except WriterExpelled:
        raise
    except (StoreError, KeyUnavailable) as error:
        reason = str(error).partition(";")[0]
        raise type(error)(f"{done} ({reason})", hint=hint) from None
