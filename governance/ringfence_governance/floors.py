"""Find the labels a new document may not go below: its parents', and those of equal bytes.

Promise: only what the ingester may read, or was ever given, is looked at;
what he never could read has no effect on any answer, error, summary or count.

Source: DESIGN.md §2, promise 6.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from . import audit_reading, authority, rows, wrapped_labels
from .errors import NotReadable, Refused
from .ground import Ground
from .labels import LabelEntry
from .seal import digest
from .subjects import Subject


class Floors:
    """The labels one ingester may not go below, as they stand at each question."""

    __slots__ = ("_by_bytes", "_ground", "_noted", "_signature", "_subject", "_until")

    def __init__(self, ground: Ground, subject: Subject) -> None:
        self._ground = ground
        self._subject = subject
        self._by_bytes: dict[bytes, list[tuple[str, LabelEntry]]] = defaultdict(list)
        self._noted: list[tuple[bytes, str, LabelEntry]] = []
        self._signature: tuple[object, ...] = ()
        self._until = ""

    def parents(self, document_ids: Sequence[str]) -> list[LabelEntry]:
        """Return the labels of the documents something was made from.

        Raises:
            Refused: One of them is unknown, or the ingester may not read it.
            StoreCorrupt: One stands under another label than its key does.
        """
        if not document_ids:
            return []
        grant = self._ground.grant(self._subject, "read")
        try:
            found = rows.labels_of(self._ground, grant, document_ids)
        except NotReadable as error:
            raise Refused(
                "a parent is unknown, or the ingester may not read it; expected ids of documents he may read"
            ) from error
        wrapped_labels.refuse_other(self._ground, ((each, entry.atom) for entry, each in found.values()))
        return [found[document_id][0] for document_id in document_ids]

    def equal_bytes(self, sha256: str, *, except_document: str | None) -> list[LabelEntry]:
        """Return the labels of bytes like these that the ingester may read, or was ever given."""
        ground, person = self._ground, self._subject.person
        given = ground.given.atoms(
            person,
            given_digest(ground, person, sha256),
            lambda read_to: audit_reading.given_to(ground.root / "audit", person, read_to),
        )
        self._load_if_moved()
        table = ground.moment().table
        content = ground.contents.digest(sha256)
        return [
            *(entry for document, entry in self._by_bytes.get(content, []) if document != except_document),
            *(table.entries[atom] for atom in sorted(given) if atom in table.entries),
        ]

    def note(self, sha256: str, document_id: str, entry: LabelEntry) -> None:
        """Count what this run writes among what the ingester may read, if he may."""
        moment = self._ground.moment()
        if authority.allowed(moment.snapshot, self._subject, entry, moment.table, "read", moment.now):
            content = self._ground.contents.digest(sha256)
            self._by_bytes[content].append((document_id, entry))
            self._noted.append((content, document_id, entry))

    def _load_if_moved(self) -> None:
        """Look again when the policy or the rows changed since the last look."""
        moment = self._ground.moment()
        # By the journal's newest row, not the policy's content: a label may have got another meaning.
        signature = (moment.policy.version, moment.publication.sequence)
        if signature == self._signature and moment.now < self._until:
            return
        grant = self._ground.grant(self._subject, "read")
        self._by_bytes = defaultdict(list)
        for document_id, atom, content in rows.contents(self._ground, grant):
            self._by_bytes[content].append((document_id, grant.table.entries[atom]))
        for content, document_id, entry in self._noted:
            self._by_bytes[content].append((document_id, entry))
        self._until = grant.expires_at
        self._signature = signature


def given_digest(ground: Ground, person: str, sha256: str) -> str:
    """Return the keyed digest by which the log remembers bytes that were given to a person.

    It is the person's own: that two people were given the same bytes does not show.
    """
    return digest(ground.store_key("query"), "given", person, sha256)
