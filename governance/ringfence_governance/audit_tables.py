"""Put what one auditor may be told into tables, as he asks them in SQL.

Promise: ids, labels, people, times and numbers; no content, no vector, no key,
and no name of a document but of one he may read. A time is text, UTC,
`YYYY-MM-DDTHH:MM:SSZ`; what lasts ends with null.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from . import erasure_proof, inspection, publications, runs
from .audit_access import Reasoning, reasons, spans
from .audit_documents import Erased, document_labels, erased
from .audit_lineage import Lineage, lineage
from .audit_reads import Reads, reads
from .audit_schema import FORMAT, table
from .audit_scope import AuditScope
from .audit_times import History, history
from .auditor_log import SECOND_CHARACTERS, is_of, text_of
from .errors import RingfenceError
from .ground import Ground
from .identifiers import tenant_of
from .journal import Entry
from .labels import Label, LabelEntry
from .policy_rows import ANY, Link, Row, from_fields


@dataclass(frozen=True, slots=True, repr=False)
class AuditFacts:
    """What one auditor may be told.

    Args:
        tables: By name, in the columns of :data:`audit_schema.SCHEMAS`; `about` says nothing yet of `as_of`.
        later: Tables that take time to work out, and are made when first asked for; nothing that they need is
            read from the store then.
        reasons: Makes the table of that name of some subjects and labels, None for all; as `later`.
    """

    tables: Mapping[str, pa.Table]
    later: Mapping[str, Callable[[], pa.Table]]
    reasons: Callable[[frozenset[str] | None, frozenset[str] | None], pa.Table]


def facts(ground: Ground, scope: AuditScope, names: Mapping[str, str], since: str) -> AuditFacts:
    """Return what an auditor may be told.

    Args:
        names: Path of each document that he may read, by its id.
        since: UTC: who might read is worked out from then on; empty for all time.
    """
    past = history(ground, scope.grant)
    narrowed, since = since > past.since, max(since, past.since)
    ways = lineage(ground, scope)
    now = {node.id: node.label for node in ways.nodes if node.kind == "document"}
    gone = erased(ground, scope)
    log = reads(ground, scope)
    rows: dict[str, Iterable[Iterable[object]]] = {
        "about": [_about(ground, scope, since, narrowed=narrowed)],
        "hidden": _hidden(ground, scope),
        "nodes": [
            (each.id, each.kind, each.document, each.label or None, each.run or None, names.get(each.id))
            for each in ways.nodes
        ],
        "edges": [(each.child, each.parent, each.kind, each.run, each.current) for each in ways.ways],
        "hidden_ways": [
            (each, ways.beneath.get(each, 0), ways.above.get(each, 0))
            for each in sorted({*ways.beneath, *ways.above})
        ],
        "labels": map(_label, scope.labels.values()),
        "label_versions": _label_versions(scope, past),
        "document_labels": [
            (each.document, each.label, each.since, each.until or None, each.known)
            for each in document_labels(ground, scope, past, now, gone)
        ],
        "policy": _policy(scope, past),
        "records": _records(log),
        "record_rows": [
            (place, row, label) for place, each in enumerate(log.records, 1) for row, label in each["rows"]
        ],
        "runs": _runs(ground, scope, ways),
        "erasures": [_erasure(ground, each) for each in gone],
        "erased_rows": sorted({(each.erasure, row) for each in gone for row in each.rows}),
        "log_chain": [
            (each.segment, each.number, each.digest, each.previous, each.line or None) for each in log.links
        ],
        "log_parts": [
            (each.checkpoint, _second(each.at), each.segment, each.to, each.last, each.removed)
            for each in log.parts
        ],
        "kept": _kept(ground, scope, past, log),
    }
    return AuditFacts(
        {name: table(name, found) for name, found in rows.items()},
        {
            "access": lambda: table(
                "access",
                [
                    (each.label, each.subject, each.purpose, each.since, each.until or None)
                    for each in spans(scope, past, since)
                ],
            ),
        },
        lambda who, labels: table("reasons", _reasons(scope, past, who, labels)),
    )


def _about(ground: Ground, scope: AuditScope, since: str, *, narrowed: bool) -> tuple[object, ...]:
    auditor = scope.grant.subject.person
    return (ground.store_id, scope.tenant, auditor, scope.grant.now, "", scope.whole, since, narrowed, FORMAT)


def _hidden(ground: Ground, scope: AuditScope) -> list[tuple[str, int]]:
    versions, others = scope.grant.publication.versions, scope.others
    count = ground.tables.count
    return [
        ("labels", len(others)),
        ("documents", count("documents", versions["documents"], others) if others else 0),
        ("passages", count("chunks", versions["chunks"], others) if others else 0),
    ]


def _label(entry: LabelEntry) -> tuple[object, ...]:
    label = entry.definition
    if label is None:
        return (entry.label_id, entry.named, None, [], [], None, [], [], None, None, sorted(entry.parts))
    return (
        entry.label_id,
        entry.named,
        label.owner,
        sorted(label.readers),
        sorted(label.denied),
        label.level,
        sorted(label.compartments),
        sorted(label.purposes),
        label.valid_from,
        label.valid_until,
        [],
    )


def _label_versions(scope: AuditScope, past: History) -> Iterable[tuple[object, ...]]:
    journal = {entry.sequence: entry for entry in past.entries if entry.change.label is not None}
    for version in past.versions:
        if version.entry.atom not in scope.labels:
            continue
        made = journal.get(version.sequence)
        change = "made" if made is None else made.change.kind
        yield (version.entry.label_id, version.at, change, _definition(version.entry), *_told(scope, made))


def _definition(entry: LabelEntry) -> str:
    meaning: object = (
        entry.definition.to_mapping()
        if isinstance(entry.definition, Label)
        else {"parts": sorted(entry.parts)}
    )
    return json.dumps(meaning, sort_keys=True, ensure_ascii=False)


def _told(scope: AuditScope, entry: Entry | None) -> tuple[str | None, str | None, str | None]:
    """Return who, why and ticket of a change, to an auditor of the whole tenant; who, if he is of it."""
    if entry is None or not scope.whole:
        return None, None, None
    return (entry.who if tenant_of(entry.who) == scope.tenant else None), entry.why, entry.ticket


def _policy(scope: AuditScope, past: History) -> Iterable[tuple[object, ...]]:
    for entry in past.entries if scope.whole else ():
        if is_of(entry, scope.tenant):
            yield (entry.sequence, entry.at, entry.change.kind, text_of(entry.change), *_told(scope, entry))


def _records(log: Reads) -> Iterable[tuple[object, ...]]:
    for place, each in enumerate(log.records, 1):
        yield (
            place,
            _second(each["at"]),
            each["verb"],
            each["action"],
            each["outcome"],
            each["subject"],
            each["via"],
            each["purpose"],
            None if each["asserted_by"] is None else json.dumps(each["asserted_by"], sort_keys=True),
            each["rows_hidden"],
            each["rules"],
            json.dumps(each["counts"], sort_keys=True),
            each["duration_ms"],
            each["at"],
            each["record"] or None,
        )


def _second(time: str) -> str:
    """Return a time without what is finer than a second: as all other times are."""
    return f"{time[:SECOND_CHARACTERS]}Z"


def _runs(ground: Ground, scope: AuditScope, ways: Lineage) -> Iterable[tuple[object, ...]]:
    wrote = Counter(node.run for node in ways.nodes if node.kind == "document")
    for each in runs.rows(ground):
        own = bool(each.who) and tenant_of(each.who) == scope.tenant
        if wrote[each.run_id] or (own and scope.whole):
            yield (
                each.run_id,
                each.job,
                each.state,
                each.started_at,
                each.ended_at or None,
                each.who if own else None,
                wrote[each.run_id],
            )


def _erasure(ground: Ground, each: Erased) -> tuple[object, ...]:
    certified: tuple[object, ...] = (None, None, None)
    if each.certificate:
        try:
            found = erasure_proof.certificate_of(ground, each.erasure, each.certificate)
            certified = (found["at"], found["clean"], found["key_generation"])
        except RingfenceError:
            # One that is missing or was changed says nothing: then there is no proof.
            certified = (None, False, None)
    why, ticket = each.told
    return (
        each.document,
        each.erasure,
        each.label,
        each.at,
        each.who,
        why,
        ticket,
        each.documents,
        each.hidden,
        each.certificate or None,
        *certified,
    )


def _kept(ground: Ground, scope: AuditScope, past: History, log: Reads) -> Iterable[tuple[object, ...]]:
    held = {name: ground.tables.held(name) for name in ("documents", "chunks", "edges")}
    told = _publications(ground, scope, past)
    for at, publication in past.publications:
        if publication.sequence not in told:
            continue
        there = all(publication.versions[name] in versions for name, versions in held.items())
        yield "publication", str(publication.sequence), at, None, "kept" if there else "removed"
    removed = {part.segment: part for part in log.parts if part.removed}
    times: dict[str, list[str]] = {}
    for each in log.records:
        if each["record"]:
            times.setdefault(each["record"].partition(":")[0], []).append(_second(each["at"]))
    for segment, found in sorted(times.items()):
        yield "log segment", segment, min(found), max(found), "kept"
    for segment, part in sorted(removed.items()):
        yield "log segment", segment, None, _second(part.at), f"removed; its {part.to} records are signed"


def _publications(ground: Ground, scope: AuditScope, past: History) -> frozenset[int]:
    """Return the numbers of the publications of the auditor's tenant; of all, if he may know what each tenant does."""
    if not scope.whole:
        return frozenset()
    if inspection.may_know_sizes(ground.moment(), scope.grant.subject):
        return frozenset(publication.sequence for _, publication in past.publications)
    own = [each.run_id for each in runs.rows(ground) if not each.who or tenant_of(each.who) == scope.tenant]
    with ground.catalog.read() as connection:
        return publications.made_by(connection, own)


def _reasons(
    scope: AuditScope, past: History, who: frozenset[str] | None, labels: frozenset[str] | None
) -> Iterable[tuple[object, ...]]:
    granted: dict[Row, Entry] = {}
    for entry in past.entries:
        row = entry.change.row
        if row is not None and entry.change.kind == "row_added":
            granted.setdefault(row, entry)
        elif row is not None:
            granted.pop(row, None)
    for each in reasons(scope, who, labels):
        yield from _reasoning(each, granted)


def _reasoning(each: Reasoning, granted: Mapping[Row, Entry]) -> Iterable[tuple[object, ...]]:
    body = each.explanation.to_mapping()
    decision = "allow" if each.explanation.allowed else "deny"
    told = False
    for verdict in body["verdicts"]:  # type: ignore[attr-defined]
        for rule in verdict["rules"]:
            told = True
            entry = granted.get(from_fields(rule["rule"].split(", ")))
            facts_of = (None,) * 4 if entry is None else (entry.at, entry.who, entry.why, entry.ticket)
            steps = [
                step.who
                for path in ("membership", "relation")
                for child, parent in zip(rule[path], rule[path][1:], strict=False)
                if parent != ANY and (step := granted.get(Link("g", child, parent))) is not None
            ]
            yield (
                each.label,
                each.subject,
                each.purpose,
                decision,
                verdict["label"],
                rule["effect"],
                rule["rule"],
                rule["membership"],
                rule["relation"],
                *facts_of,
                steps,
            )
    if not told:
        yield (each.label, each.subject, each.purpose, decision, *(None,) * 3, [], [], *(None,) * 4, [])
