"""What an administrator may do in a store: see its policy, change it, apply one from files.

Promise: every change is a row of the journal with who, when, why and ticket,
and in force for the next question. Who may not administer changes nothing,
and is told nothing of what stands.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ringfence_governance.door import Door
from ringfence_governance.identifiers import TIME_MAX, TIME_MIN, tenant_of
from ringfence_governance.kept_changes import Reasoned
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_rows import Link, Rule
from ringfence_governance.subjects import Subject
from ringfence_retrieval.calibration import measured

from .auditing import Auditing
from .boundary import public


class Administering(Auditing):
    """The half of a :class:`Reader` that is about the policy."""

    __slots__ = ("__door", "__subject")

    def __init__(self, door: Door, subject: Subject) -> None:
        super().__init__(door, subject)
        self.__door = door
        self.__subject = subject

    @public
    def policy(self) -> Iterable[dict[str, Any]]:
        """Return, to an administrator, the rows of his tenant's policy.

        Raises:
            Refused: This subject may not administer.
        """
        return self.__door.policy_rows(self.__subject)

    @public
    def grant(
        self,
        subject: str,
        action: str,
        object_id: str,
        *,
        why: str,
        ticket: str = "",
        valid_from: str | None = None,
        valid_until: str | None = None,
        purpose: str | None = None,
    ) -> bool:
        """Grant an action on a label, a set, all labels (`*`) or `tenant/policy`. False: it stands already.

        Args:
            valid_from: UTC, `YYYY-MM-DDTHH:MM:SSZ`, inclusive; None: since ever.
            valid_until: UTC, exclusive; None: for ever.
            purpose: Only for this purpose; None: for any.

        Raises:
            Refused: This subject may not administer.
            PolicyRefused: The row is malformed or names what does not exist.
        """
        row = Rule(
            sub=subject,
            dom=tenant_of(self.__subject.person),
            obj=object_id,
            act=action,
            rel="any",
            purpose="*" if purpose is None else purpose,
            nbf=TIME_MIN if valid_from is None else valid_from,
            exp=TIME_MAX if valid_until is None else valid_until,
            eft="allow",
        )
        return self.__door.add_row(self.__subject, row, Reasoned(why, ticket))

    @public
    def revoke(
        self,
        subject: str,
        action: str,
        object_id: str,
        *,
        why: str,
        ticket: str = "",
        valid_from: str | None = None,
        valid_until: str | None = None,
        purpose: str | None = None,
    ) -> int:
        """Take back the grants of an action on an object; return how many stood.

        Args:
            valid_from: Only those that hold from this time on; None: whatever their times.
            valid_until: Only those that hold until this time; None: whatever their times.
            purpose: Only those for this purpose, `*` for those for any; None: whatever theirs.

        Raises:
            Refused: This subject may not administer.
        """
        reason = Reasoned(why, ticket)
        rows = self.__door.matching_rows(self.__subject, subject, action, object_id)
        wanted = (valid_from, valid_until, purpose)
        chosen = [
            row
            for row in rows
            if all(
                want in (None, has) for want, has in zip(wanted, (row.nbf, row.exp, row.purpose), strict=True)
            )
        ]
        return sum(self.__door.remove_row(self.__subject, row, reason) for row in chosen)

    @public
    def add_member(self, member: str, group: str, *, why: str, ticket: str = "") -> bool:
        """Put a principal into a group or role. False: it is in it already.

        Raises:
            Refused: This subject may not administer.
            PolicyRefused: A name is malformed, or the link would make a cycle.
        """
        return self.__door.add_row(self.__subject, Link("g", member, group), Reasoned(why, ticket))

    @public
    def remove_member(self, member: str, group: str, *, why: str, ticket: str = "") -> bool:
        """Take a principal out of a group or role. False: it is not in it.

        Raises:
            Refused: This subject may not administer.
        """
        return self.__door.remove_row(self.__subject, Link("g", member, group), Reasoned(why, ticket))

    @public
    def define_label(self, name: str, label: Label, *, why: str, ticket: str = "") -> None:
        """Define a named label, `tenant/label:name`.

        Raises:
            Refused: This subject may not administer.
            InvalidInput: The name is malformed or taken.
        """
        self.__door.define_label(self.__subject, NamedLabel(name, label), Reasoned(why, ticket))

    @public
    def redefine_label(self, name: str, label: Label, *, why: str, ticket: str = "") -> bool:
        """Give a named label another meaning, as a whole. False: it means that already.

        Every document and derivative under it goes by the new meaning from the next question on.

        Raises:
            Refused: This subject may not administer; or the new meaning could let somebody in more, and he may
                not declassify under the old one.
            InvalidInput: There is no such label.
        """
        return self.__door.redefine_label(self.__subject, NamedLabel(name, label), Reasoned(why, ticket))

    @public
    def expire_label(self, name: str, *, why: str, ticket: str = "") -> bool:
        """End a named label's validity now: nobody reads under it any more. False: it has ended already.

        Raises:
            Refused: This subject may not administer.
            InvalidInput: There is no such label, or the name is malformed.
        """
        return self.__door.expire_label(self.__subject, name, Reasoned(why, ticket))

    @public
    def labels(self) -> Iterable[dict[str, Any]]:
        """Return, to who may administer or audit, the named labels of his tenant: `name` and `definition`.

        Raises:
            Refused: This subject may do neither.
        """
        return self.__door.labels(self.__subject)

    @public
    def label_history(self, name: str) -> Iterable[dict[str, Any]]:
        """Return, to who may administer or audit, every meaning a label has had, the oldest first.

        Raises:
            Refused: This subject may do neither.
            InvalidInput: There is no such label, or the name is malformed.
        """
        return self.__door.label_history(self.__subject, name)

    @public
    def apply_policy(self, path: str | Path, *, why: str, ticket: str = "") -> dict[str, Any]:
        """Make the policy what files say, all at once or not at all; return what was changed.

        Args:
            path: A folder with `policy.csv` and, if it likes, `labels.yaml`; or a `policy.csv`.

        Returns:
            `changed`, and the rows and labels `added`, `removed`, `defined` and `redefined`, and those that stay
            though the files do not hold them: `kept`, each with why, and `kept_labels`.

        Raises:
            Refused: This subject may not administer, or not all that would change; everything is listed.
            PolicyRefused: A file is malformed; every finding is listed. The policy that stands stays.
        """
        return self.__door.apply_policy(self.__subject, Path(path), Reasoned(why, ticket))

    @public
    def diff_policy(self, path: str | Path, *, action: str = "read") -> dict[str, Any]:
        """Say what :meth:`apply_policy` would change, and whom that lets in and shuts out. Changes nothing.

        Args:
            path: As in :meth:`apply_policy`.
            action: One of the policy's actions, except `delegate`: who may carry is told with each.

        Returns:
            What `apply_policy` returns, without `changed`, and `opens` and `closes`, each a list of `subject`,
            `carried`, `purpose`, `object` and `since`, with how many there are: `opened`, `closed`; `complete`,
            whether all are listed; `action`; `at`; and `refusals`, why this subject may not apply them.

        Raises:
            Refused: This subject may not administer.
            PolicyRefused: A file is malformed.
            InvalidInput: The action is none.
        """
        return self.__door.diff_policy(self.__subject, Path(path), action)

    @public
    def rotate_keys(self, *, why: str, ticket: str = "", retire: bool = False) -> dict[str, Any]:
        """Put a new master key in force, and wrap every key anew under it; no content is rewritten.

        Args:
            retire: Also destroy the older master keys: older copies of the key database then open nothing.

        Returns:
            `generation`, `rewrapped` (how many keys of each kind), `retired` (each with `destroyed` and `note`),
            `cleared` (whether older wraps are out of the key database's files), `run`.

        Raises:
            Refused: This subject may not administer every tenant of the store.
            StoreBusy: Somebody writes documents.
            KeyUnavailable: What keeps the master key gives no new one.
        """
        return self.__door.rotate_keys(self.__subject, Reasoned(why, ticket), retire=retire)

    @public
    def calibrate(self, *, why: str, ticket: str = "") -> dict[str, Any]:
        """Measure on this machine what decides between plans, and keep it with the store. No answer changes by it.

        Returns:
            `every_row_max` (up to how many rows each is scored outright; `explain=True` shows it), `before` (None
            if it was never measured), `measured` (for each number of rows tried, both times in ms).

        Raises:
            Refused: This subject may not administer every tenant of the store.
            InvalidInput: The store holds nothing yet.
        """
        return self.__door.calibrate(self.__subject, measured, Reasoned(why, ticket))

    @public
    def keys_status(self) -> dict[str, Any]:
        """Return what keeps the master key, its generations, and how many keys there are; no secret.

        Raises:
            Refused: This subject may not administer every tenant of the store.
        """
        return self.__door.keys_status(self.__subject)

    @public
    def flush_lineage(self) -> dict[str, Any]:
        """Send the events of lineage that wait for a backend, now.

        Returns:
            `backends` (their kinds), `waiting` (how many events still do), `since` (when the oldest of them
            happened), `set_aside` (how many stand in a file of the store, which nothing sends by itself), and
            `problem`, empty if all was sent.

        Raises:
            Refused: This subject may neither audit nor administer every tenant of the store.
        """
        return self.__door.flush_lineage(self.__subject)
