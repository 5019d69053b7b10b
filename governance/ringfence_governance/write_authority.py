"""Say what a writer may do: under which labels, instead of which, and what it may take away.

Promise: a label is given only by who may ingest under it, and a lower one
never takes a higher one's place without `declassify`. An unknown label and
one the subject may not use are the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from . import authority, catalog_labels, declassification
from .drafts import LabelChoice
from .errors import Refused
from .ground import Ground, Moment
from .label_table import LabelTable
from .labels import Label, LabelEntry, flatten
from .subjects import Subject

UNSTORED_ATOM = 0
"""Atom of a label that is judged before it is interned; no row carries it."""


class WriteAuthority:
    """One subject's rights to write, judged by the policy of each moment."""

    __slots__ = ("_ground", "_interned", "_subject")

    def __init__(self, ground: Ground, subject: Subject) -> None:
        self._ground = ground
        self._subject = subject
        self._interned: dict[Label, LabelEntry] = {}

    @property
    def table(self) -> LabelTable:
        """The label table as it stands now."""
        return self._ground.moment().table

    def check_ingest(self, choice: LabelChoice) -> None:
        """Raise Refused unless the label exists and the subject may ingest under it."""
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        if entry is None or not self._may(moment, entry, "ingest"):
            named = f"label {choice!r}" if isinstance(choice, str) else f"a label of tenant {choice.tenant!r}"
            raise Refused(
                f"{named} is unknown, or {self._subject.person} may not ingest under it",
                hint="check the label's name; an administrator of the tenant can grant 'ingest'",
            )

    def check_not_denied(self, choice: LabelChoice) -> None:
        """Raise Refused if a rule denies the subject to ingest under a label, though none need allow it."""
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        if entry is None or authority.denied(
            moment.snapshot, self._subject, entry, moment.table, "ingest", moment.now
        ):
            raise Refused(
                f"a rule denies {self._subject.person} to ingest; nothing was written",
                hint="an administrator of the tenant can say why",
            )

    def same(self, choice: LabelChoice, atom: int) -> bool:
        """Say whether a document under `atom` already has this label as its own."""
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        held = moment.table.entries[atom]
        return entry is not None and (entry.atom == atom or entry.label_id in held.parts)

    def is_lower(self, new: LabelChoice, old: LabelChoice) -> bool:
        """Say whether `new` instead of `old` could let anybody in more.

        A named label the subject may not ingest under is the same as an unknown one, and lower than all:
        comparing with it would tell what it means.
        """
        moment = self._ground.moment()
        new_entry, old_entry = self._own(moment, new), self._own(moment, old)
        return new_entry is None or old_entry is None or _is_lower(moment, [new_entry], old_entry)

    def may_replace(self, choice: LabelChoice, atom: int, parents: Collection[LabelEntry] = ()) -> bool:
        """Say whether a document under `atom` may get this label: not lower, or declassified."""
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        held = moment.table.entries[atom]
        if entry is None:
            return False
        return not _is_lower(moment, [entry, *parents], held) or self._may(moment, held, "declassify")

    def may_remove(self, atom: int) -> bool:
        """Say whether the subject may take away the content of a document it ingested under this label.

        It must be allowed to delete there; or to ingest, if no rule denies it to delete: who may put
        content in place of his own may also put none there. Of what is private to the subject it is enough
        that no rule denies it: who registers an answer for himself needs no right to ingest. An agent takes
        away no more of it than it may carry to him.
        """
        moment = self._ground.moment()
        held = moment.table.entries[atom]
        if self._may_on_own(atom, "delete"):
            return True
        if self._subject.via and not self._may(moment, held, "read"):
            return False
        private = Label(self._subject.tenant, self._subject.person)
        parts = moment_definitions(moment, held)
        return private in (label for _, label in parts) and not authority.denied(
            moment.snapshot, self._subject, held, moment.table, "delete", moment.now
        )

    def may_move(self, atom: int, choice: LabelChoice) -> bool:
        """Say whether the subject may relabel a document it ingested, from `atom` to `choice`.

        It must be allowed to relabel from the one and to the other; or to ingest under them, if no rule
        denies it to relabel. Whether the new label is lower is another question.
        """
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        return (
            entry is not None
            and self._may_on_own(atom, "relabel_from")
            and (
                self._may(moment, entry, "relabel_to") or self._may_unless_denied(moment, entry, "relabel_to")
            )
        )

    def may_relabel_to(self, choice: LabelChoice) -> bool:
        """Say whether the label exists and the subject may give it to a document it did not ingest."""
        moment = self._ground.moment()
        entry = self._entry(moment, choice)
        return entry is not None and self._may(moment, entry, "relabel_to")

    def parents_of(self, atom: int, choice: LabelChoice) -> list[LabelEntry]:
        """Return what a relabelled derivative keeps: all parts of the compound label it has."""
        held = self._ground.moment().table.entries[atom]
        table = self._ground.moment().table
        return [table.by_id[part] for part in sorted(held.parts)] if held.parts else []

    def intern(self, choice: LabelChoice, parents: Collection[LabelEntry]) -> LabelEntry:
        """Return the label to store: the choice, or its compound with the parents' labels."""
        if isinstance(choice, Label):
            own = catalog_labels.intern_value(self._ground.catalog, choice)
        else:
            own = self._ground.moment().table.by_id[choice]
        self._ground.keys.ensure_label_key(own)
        if not parents:
            return own
        parts = flatten([own, *parents])
        return own if len(parts) == 1 else catalog_labels.intern_compound(self._ground.catalog, parts)

    def _entry(self, moment: Moment, choice: LabelChoice) -> LabelEntry | None:
        """Return a label by name, or by value; one that is not interned yet has an atom no row carries."""
        if isinstance(choice, str):
            return moment.table.by_id.get(choice)
        known = self._interned.get(choice)
        if known is None:
            atom = catalog_labels.atom_of_value(self._ground.catalog, choice)
            known = moment.table.entries.get(atom) if atom is not None else None
            if known is None:
                return _unstored(choice)
            self._interned[choice] = known
        return known

    def _own(self, moment: Moment, choice: LabelChoice) -> LabelEntry | None:
        """Return a label the subject may compare with: a value, or a name it may ingest under."""
        entry = self._entry(moment, choice)
        if entry is not None and isinstance(choice, str) and not self._may(moment, entry, "ingest"):
            return None
        return entry

    def may_ingest_at_all(self) -> bool:
        """Say whether there is any label, or a private one of the subject's own, it may ingest under."""
        moment = self._ground.moment()
        private = Label(self._subject.tenant, self._subject.person)
        entry = self._entry(moment, private)
        return (entry is not None and self._may(moment, entry, "ingest")) or bool(
            self._ground.grant(self._subject, "ingest").atoms
        )

    def _may_on_own(self, atom: int, action: str) -> bool:
        moment = self._ground.moment()
        held = moment.table.entries[atom]
        return self._may(moment, held, action) or self._may_unless_denied(moment, held, action)

    def _may_unless_denied(self, moment: Moment, entry: LabelEntry, action: str) -> bool:
        refused = authority.denied(moment.snapshot, self._subject, entry, moment.table, action, moment.now)
        return not refused and self._may(moment, entry, "ingest")

    def _may(self, moment: Moment, entry: LabelEntry, action: str) -> bool:
        return authority.allowed(moment.snapshot, self._subject, entry, moment.table, action, moment.now)


def _unstored(label: Label) -> LabelEntry:
    """Return a label's entry before it has one, named by its value: two of them are never taken for one."""
    name = hashlib.sha256(label.canonical_bytes()).hexdigest()[:32]
    return LabelEntry(UNSTORED_ATOM, f"{label.tenant}/label:~{name}", label)


def _is_lower(moment: Moment, new: Collection[LabelEntry], old: LabelEntry) -> bool:
    """Whether some part of `old` has no part of `new` that is at least as high."""
    new_parts = {part: label for entry in new for part, label in moment_definitions(moment, entry)}
    return declassification.relabelling(moment.snapshot.index, new_parts, moment_definitions(moment, old))


def moment_definitions(moment: Moment, entry: LabelEntry) -> tuple[tuple[str, Label], ...]:
    """Return (id, definition) of a label that may not be stored yet."""
    if entry.definition is not None:
        return ((entry.label_id, entry.definition),)
    return moment.table.definitions(entry)
