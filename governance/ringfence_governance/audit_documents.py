"""Work out which label each document had, and when, as one auditor may be told it.

Promise: the same as :mod:`past_moments` says of every second since the store
was made: from the publication of that time while it is kept, else led back over
the relabellings in the journal. A document that was erased is told by its id
until the second it was erased.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import erasure_ledger
from .audit_scope import AuditScope
from .audit_times import History
from .ground import Ground
from .publications import Publication

Known = Literal["publication", "newest", "ledger"]
"""From what it is known: see :data:`past_moments.LabelAsOf`; `ledger` for what was erased."""


@dataclass(frozen=True, slots=True)
class DocumentLabel:
    """A time in which a document had one label.

    Args:
        document: Opaque.
        label: Its id.
        since: UTC, inclusive.
        until: UTC, exclusive; empty while it lasts.
        known: From what; `newest` and `ledger` do not say since when the document was there.
    """

    document: str
    label: str
    since: str
    until: str
    known: Known


@dataclass(frozen=True, slots=True)
class Erased:
    """A document that was erased, as far as it may be told.

    Args:
        document: Opaque.
        erasure: Opaque id of the erasure.
        label: Id of the label it had then.
        at: UTC.
        who: Who asked for it, if he is of the auditor's tenant and all labels of it may be told; else None.
        documents: How many documents it took.
        hidden: How many of them may not be told.
        rows: Ids of the passages and edges it took, if all labels of it may be told.
        certificate: Digest of its certificate; empty while it is not finished.
        told: Reason and ticket, as `who`.
    """

    document: str
    erasure: str
    label: str
    at: str
    who: str | None
    documents: int
    hidden: int
    rows: tuple[str, ...]
    certificate: str
    told: tuple[str | None, str | None]


def erased(ground: Ground, scope: AuditScope) -> list[Erased]:
    """Return the erased documents whose labels may be audited."""
    with ground.catalog.read() as connection:
        known = [
            entry for entry in erasure_ledger.entries(connection) if entry.sequence <= scope.grant.sequence
        ]
    return [each for entry in known for each in _erased(ground, scope, entry)]


def _erased(ground: Ground, scope: AuditScope, entry: erasure_ledger.Entry) -> Iterator[Erased]:
    told = entry.told(ground.catalog)
    atoms: dict[str, Any] = told["atoms"]
    shown = sorted(document for document, atom in atoms.items() if atom in scope.labels)
    hidden = len(entry.documents) - len(shown)
    all_of_it = not hidden and told["who"].startswith(f"{scope.tenant}/")
    for document in shown:
        yield Erased(
            document,
            entry.erasure_id,
            scope.labels[atoms[document]].label_id,
            told["at"],
            told["who"] if all_of_it else None,
            len(entry.documents),
            hidden,
            () if hidden else tuple(told["rows"]),
            entry.certificate or "",
            (told["why"], told["ticket"]) if all_of_it else (None, None),
        )


def document_labels(
    ground: Ground, scope: AuditScope, history: History, now: Mapping[str, str], gone: Iterable[Erased]
) -> list[DocumentLabel]:
    """Return which labels documents had, and when.

    Args:
        now: Document → id of its label, of those that are there now and may be told.
        gone: Those that were erased.
    """
    led_back = _led_back(scope, history, now)
    found: list[DocumentLabel] = []
    for start, end, publication in _cuts(ground, history):
        if publication is None:
            found += [
                DocumentLabel(each, label, max(since, start), _earlier(until, end), "newest")
                for each, label, since, until in led_back
                if (not end or since < end) and (not until or until > start)
            ]
        else:
            version = publication.versions["documents"]
            rows = ground.tables.scan("documents", version, scope.grant.atoms, []).to_pylist()
            found += [
                DocumentLabel(row["id"], scope.labels[row["atom"]].label_id, start, end, "publication")
                for row in rows
                if row["id"] in now
            ]
    for each in gone:
        found += [
            DocumentLabel(each.document, label, since, _earlier(until, each.at), "ledger")
            for _, label, since, until in _led_back(scope, history, {each.document: each.label})
            if since < each.at
        ]
    return _joined(found)


def _cuts(ground: Ground, history: History) -> Iterator[tuple[str, str, Publication | None]]:
    """Yield (since, until, publication) of each second that one was the newest; None for one that is gone."""
    held = {name: ground.tables.held(name) for name in ("documents", "chunks")}
    newest = dict(history.publications)
    starts = sorted(newest)
    for start, end in zip(starts, [*starts[1:], ""], strict=True):
        publication = newest[start]
        kept = all(publication.versions[name] in versions for name, versions in held.items())
        yield start, end, publication if kept else None


def _led_back(scope: AuditScope, history: History, now: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """Return (document, label, since, until) back over the relabellings, as far as the label may be told."""
    moves: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in history.entries:
        moved = entry.change.relabelling
        if moved is not None and moved.document_id in now:
            moves[moved.document_id].append((entry.at, moved.old))
    told = {entry.label_id: history.label_since[atom] for atom, entry in scope.labels.items()}
    found: list[tuple[str, str, str, str]] = []
    for document, label in now.items():
        since = history.since
        for at, old in moves[document]:
            if at > since:
                found.append((document, old, since, at))
                since = at
        found.append((document, label, since, ""))
    return [
        (document, label, max(since, told[label]), until)
        for document, label, since, until in found
        if label in told and (not until or until > told[label])
    ]


def _earlier(until: str, end: str) -> str:
    return min(until, end) if until and end else until or end


def _joined(found: list[DocumentLabel]) -> list[DocumentLabel]:
    """Return them in order, those that follow each other with one label as one."""
    joined: list[DocumentLabel] = []
    for each in sorted(found, key=lambda each: (each.document, each.since)):
        last = joined[-1] if joined else None
        if last is not None and (last.document, last.label, last.until, last.known) == (
            each.document,
            each.label,
            each.since,
            each.known,
        ):
            joined[-1] = DocumentLabel(last.document, last.label, last.since, each.until, last.known)
        elif each.since != each.until:
            joined.append(each)
    return joined
