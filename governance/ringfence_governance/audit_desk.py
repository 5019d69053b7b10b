"""Open an auditor's tables, and answer what he asks of them: each a record, each while he may.

Promise: what he opens is what stood at one catalog number, and shows nothing
that came later. Each question is authorised anew and recorded before its answer
leaves; one who lost a right that he opened it with is told nothing more by it,
and after an erasure of what he opened it must be opened anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import audit_export, audit_tables, authority, checkpoints, rows
from .audit_macros import MACROS
from .audit_scope import AuditScope, Opened, refuse_narrowed, scope
from .audit_session import AuditSession, Rows
from .errors import InvalidInput, RecheckFailed
from .ground import Ground
from .past_moments import checked_time
from .reading import Answer, GrantedReader, read
from .subjects import Subject

QUESTIONS: Mapping[str, str] = {macro.call: macro.answers for macro in MACROS}
"""How each macro is called, and what it answers."""


class AuditDesk:
    """One auditor's tables, and what he may ask of them with."""

    __slots__ = ("_auditor", "_ground", "_opened", "_rows", "_session", "as_of", "at")

    def __init__(
        self,
        ground: Ground,
        auditor: Subject,
        opened: Opened,
        session: AuditSession,
        rows: Sequence[tuple[str, int]],
        as_of: str,
    ) -> None:
        self._ground = ground
        self._auditor = auditor
        self._opened = opened
        self._session = session
        self._rows = rows
        self.as_of = as_of
        """An opaque handle: equal for equal labels and rows."""
        self.at = opened.scope.grant.now
        """When it was opened, UTC."""

    def __repr__(self) -> str:
        return "AuditDesk(…)"

    def __reduce__(self) -> str:
        raise TypeError("an auditor's tables cannot be pickled")

    def close(self) -> None:
        """Let the tables go."""
        self._session.close()

    def ask(self, query: str, parameters: Sequence[object] = ()) -> Rows:
        """Return what a question gives. See :meth:`AuditSession.ask`.

        Raises:
            Refused: He may not audit any more what he opened, or a document in it was erased since.
            InvalidInput: As :meth:`AuditSession.ask`; recorded like an answer.
        """

        def work(reader: GrantedReader) -> Answer[Rows | InvalidInput]:
            refuse_narrowed(self._ground, self._opened, reader.grant)
            try:
                found: Rows | InvalidInput = self._session.ask(query, parameters)
            except InvalidInput as error:
                # What DuckDB says of a question that fails may hold values: it leaves with a record too.
                found = error
            failed = isinstance(found, InvalidInput)
            asked = [] if isinstance(found, InvalidInput) else [*found.asked]
            counts = {"rows": 0 if isinstance(found, InvalidInput) else len(found.rows)}
            plan = " ".join(["sql", *asked, *(["failed"] if failed else [])])
            return Answer([], lambda as_of: found, plan=plan, counts=counts)

        # What is no character has a digest too: the record of a question that is none must not fail.
        text = query.encode(errors="backslashreplace").decode() if isinstance(query, str) else ""
        asked = "\n".join([text, *map(repr, parameters)])
        found = read(self._ground, self._auditor, "audit_sql", work, action="audit", query=asked)
        if isinstance(found, InvalidInput):
            raise found
        return found

    def export(self, path: Path) -> dict[str, Any]:
        """Write what may be asked here as a signed DuckDB file; return its statement. See :mod:`audit_export`.

        Raises:
            Refused: As :meth:`ask`.
            InvalidInput: The place is taken, or there is too much to work out.
            StoreError: The disk did not take it; nothing is left.
        """
        audit_export.checked_place(path)

        def work(reader: GrantedReader) -> Answer[dict[str, Any]]:
            refuse_narrowed(self._ground, self._opened, reader.grant)
            tables = self._session.tables()
            key = checkpoints.signing_key(self._ground.keys)
            counts = {name: found.num_rows for name, found in sorted(tables.items())}

            return Answer(
                self._rows,
                lambda _: audit_export.write(path, tables, self.as_of, key),
                plan="audit_export",
                counts=counts,
            )

        return read(self._ground, self._auditor, "audit_export", work, action="audit")


def open_desk(ground: Ground, auditor: Subject, *, since: str | None = None) -> AuditDesk:
    """Open what an auditor may be told, as tables. See :mod:`audit_tables`.

    Args:
        since: UTC, `YYYY-MM-DDTHH:MM:SSZ`: who might read is worked out from then on; None for all time.

    Raises:
        Refused: He may audit nothing.
        InvalidInput: The time is malformed.
        StoreCorrupt: The log or the journal is not what was written; verify the log.
    """
    checked_time(since)

    def work(reader: GrantedReader) -> Answer[AuditDesk]:
        own = scope(reader.grant)
        names, named = _names(ground, own)
        facts = audit_tables.facts(ground, own, names, since or "")
        table = reader.grant.table.by_id
        nodes = facts.tables["nodes"].to_pylist()
        left = [
            (row["id"], table[row["label"]].atom) for row in nodes if row["kind"] in ("document", "passage")
        ]

        told = frozenset(row["id"] for row in nodes if row["kind"] == "document")
        opened = Opened(own, told, frozenset(names), named)

        def finish(as_of: str) -> AuditDesk:
            return AuditDesk(ground, auditor, opened, AuditSession(facts, as_of), left, as_of)

        counts = {name: found.num_rows for name, found in sorted(facts.tables.items())}
        return Answer(left, finish, plan="audit_open", counts={**counts, "names": len(names)})

    return read(ground, auditor, "audit_open", work, action="audit")


def _names(ground: Ground, own: AuditScope) -> tuple[dict[str, str], frozenset[int]]:
    """Return the path of each document of the scope that the auditor may read too, and the labels they are under.

    Raises:
        RecheckFailed: Casbin says no to one of them when asked again. Nothing leaves.
    """
    # A change between the two grants starts the whole read again: it is held to the first one's number.
    readable = ground.grant(own.grant.subject, "read")
    try:
        if readable.atoms.isdisjoint(own.grant.atoms):
            return {}, frozenset()
        atoms = readable.atoms & own.grant.atoms
        ids = [document for _, document, _ in rows.run_ids(ground, readable, atoms)]
        found = rows.documents(ground, readable, ids)
        named = frozenset(row.atom for row in found)
        refused = [
            atom
            for atom in sorted(named)
            if not authority.allowed(
                readable.snapshot,
                readable.subject,
                readable.table.entries[atom],
                readable.table,
                "read",
                readable.now,
            )
        ]
        if refused:
            raise RecheckFailed(tuple(refused))
        return {row.document_id: str(row.metadata["path"]) for row in found}, named
    finally:
        ground.issued.withdraw(readable)
