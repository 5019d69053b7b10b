"""The questions an auditor asks of his tables, each one table macro of DuckDB.

Promise: a macro reads the tables of :mod:`audit_schema` and nothing else; each
has an example in docs/audit-sql.md, which a test runs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Macro:
    """One question.

    Args:
        name: Of the macro.
        parameters: Their names; an id, a subject or label is text, a time is text or a timestamp.
        answers: What it answers, in one line.
        sql: A query; parameters stand in it by name.
    """

    name: str
    parameters: tuple[str, ...]
    answers: str
    sql: str

    @property
    def call(self) -> str:
        """How it is called."""
        return f"{self.name}({', '.join(self.parameters)})"

    def statement(self) -> str:
        """Return what makes it."""
        return f"CREATE MACRO {self.call} AS TABLE {self.sql}"


def _time(parameter: str) -> str:
    """Return a time as the tables write it; one that is to come, or before what was worked out, is an error."""
    text = f"strftime({parameter}::TIMESTAMPTZ AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ')"
    return f"""(
    SELECT CASE
        WHEN {text} > about.time THEN error('the time is to come; expected one until ' || about.time)
        WHEN {text} < about.since AND about.narrowed
            THEN error('the time is before what was opened; expected one since ' || about.since)
        ELSE {text} END
    FROM about)"""


_UP = "SELECT edges.parent FROM found JOIN edges ON edges.child = found.node AND edges.current"
_DOWN = "SELECT edges.child FROM found JOIN edges ON edges.parent = found.node AND edges.current"


def _walk(step: str, hidden: str) -> str:
    return f"""
WITH RECURSIVE found(node) AS (SELECT asked UNION {step})
SELECT nodes.id, nodes.kind, nodes.document, nodes.label, nodes.path, coalesce(ways.{hidden}, 0) AS hidden
FROM found JOIN nodes ON nodes.id = found.node LEFT JOIN hidden_ways AS ways ON ways.id = nodes.id
WHERE nodes.id <> asked
UNION ALL
SELECT NULL, 'hidden', NULL, NULL, NULL, ways.{hidden} FROM hidden_ways AS ways
WHERE ways.id = asked AND ways.{hidden} > 0"""


_VALID_AT = "{0}.since <= instant.second AND ({0}.until IS NULL OR {0}.until > instant.second)"

_ACCESS_AT = """
SELECT access.label, access.subject, access.purpose FROM access, (SELECT {time} AS second) AS instant
WHERE access.since <= instant.second AND (access.until IS NULL OR access.until > instant.second)"""

_READ = "records.action = 'read' AND records.outcome = 'allowed'"

MACROS = (
    Macro(
        "descendants",
        ("asked",),
        "What was made from it, directly or through others.",
        _walk(_DOWN, "beneath"),
    ),
    Macro(
        "ancestors",
        ("asked",),
        "What it was made from, directly or through others.",
        _walk(_UP, "above"),
    ),
    Macro(
        "who_can",
        ("asked",),
        "Who may read it now.",
        """
SELECT access.subject, access.purpose, access.label, access.since
FROM objects JOIN document_labels AS held ON held.document = objects.document AND held.until IS NULL
JOIN access ON access.label = held.label AND access.until IS NULL
WHERE objects.id = asked ORDER BY ALL""",
    ),
    Macro(
        "who_could",
        ("asked", "moment"),
        "Who might read it at a time.",
        f"""
SELECT access.subject, access.purpose, access.label, held.known
FROM (SELECT {_time("moment")} AS second) AS instant, objects
JOIN document_labels AS held ON held.document = objects.document
JOIN access ON access.label = held.label
WHERE objects.id = asked AND {_VALID_AT.format("held")} AND {_VALID_AT.format("access")} ORDER BY ALL""",
    ),
    Macro(
        "what_can",
        ("who",),
        "What a subject may read now.",
        """
SELECT held.document, held.label, access.purpose, access.since
FROM access JOIN document_labels AS held ON held.label = access.label AND held.until IS NULL
WHERE access.subject = who AND access.until IS NULL ORDER BY ALL""",
    ),
    Macro(
        "why",
        ("who", "asked"),
        "Why a subject may or may not read it now: every rule, the ways to it, who granted each.",
        """
SELECT held.label, coalesce(reasons.purpose, '') AS purpose, coalesce(reasons.decision, 'deny') AS decision,
    reasons.part, reasons.effect, reasons.rule, reasons.membership, reasons.relation,
    reasons.granted_at, reasons.granted_by, reasons.granted_why, reasons.granted_ticket, reasons.steps_granted_by
FROM objects JOIN document_labels AS held ON held.document = objects.document AND held.until IS NULL
LEFT JOIN reasons ON reasons.label = held.label AND reasons.subject = who
WHERE objects.id = asked ORDER BY ALL""",
    ),
    Macro(
        "who_did_read",
        ("asked",),
        "Who read it, a passage of it, or what was made from it.",
        f"""
WITH RECURSIVE found(node) AS (SELECT asked UNION {_DOWN}),
looked_for AS (
    SELECT node AS id, node = asked AS itself, true AS certain FROM found
    UNION ALL
    SELECT erased_rows.id, true, erasures.documents = 1 FROM erasures
    JOIN erased_rows ON erased_rows.erasure = erasures.erasure WHERE erasures.document = asked)
SELECT records.time, records.subject, records.via, records.verb, records.purpose, record_rows.id,
    coalesce(objects.document, CASE WHEN looked_for.itself THEN asked END) AS document,
    looked_for.certain, records.asserted_by, records.record
FROM looked_for JOIN record_rows ON record_rows.id = looked_for.id
JOIN records ON records.place = record_rows.place LEFT JOIN objects ON objects.id = record_rows.id
WHERE {_READ} ORDER BY ALL""",
    ),
    Macro(
        "exposure",
        ("who",),
        "All that left to a subject, as the one who asked or as one who carried it.",
        f"""
SELECT records.time, records.subject, records.via, records.verb, records.purpose, record_rows.id,
    objects.document, record_rows.label, records.record
FROM records JOIN record_rows ON record_rows.place = records.place
LEFT JOIN objects ON objects.id = record_rows.id
WHERE {_READ} AND (records.subject = who OR list_contains(records.via, who)) ORDER BY ALL""",
    ),
    Macro(
        "policy_history",
        (),
        "Every change of the tenant's policy.",
        "SELECT * FROM policy ORDER BY number",
    ),
    Macro(
        "policy_diff",
        ("a", "b"),
        "What changed between two times: rows, meanings of labels, labels of documents; what it opened and closed.",
        f"""
WITH earlier AS ({_ACCESS_AT.format(time=_time("a"))}),
later AS ({_ACCESS_AT.format(time=_time("b"))}),
opened AS (SELECT * FROM later EXCEPT SELECT * FROM earlier),
closed AS (SELECT * FROM earlier EXCEPT SELECT * FROM later)
SELECT 'opened' AS change, label, subject, purpose, NULL AS what, NULL AS time, NULL AS who FROM opened
UNION ALL SELECT 'closed', label, subject, purpose, NULL, NULL, NULL FROM closed
UNION ALL SELECT policy.change, NULL, NULL, NULL, policy.what, policy.time, policy.who FROM policy
WHERE policy.time > {_time("a")} AND policy.time <= {_time("b")} ORDER BY ALL""",
    ),
    Macro(
        "label_history",
        ("name",),
        "Every meaning a label has had.",
        "SELECT * FROM label_versions WHERE label = name ORDER BY since",
    ),
    Macro(
        "runs",
        (),
        "Every run that wrote what may be told, or ran for the tenant.",
        "SELECT * FROM runs ORDER BY started_at, run",
    ),
    Macro(
        "retention",
        (),
        "What is kept, and what was removed: publications, segments of the log.",
        "SELECT * FROM kept ORDER BY ALL",
    ),
    Macro(
        "erasure_proof",
        ("asked",),
        "That a document was erased: by whom, why, what certifies it, and that nothing of it is there.",
        f"""
SELECT erasures.*,
    (SELECT count(*) FROM nodes WHERE nodes.id = asked OR nodes.document = asked) AS rows_there,
    (SELECT count(*) FROM record_rows JOIN records ON records.place = record_rows.place
        WHERE record_rows.id = asked AND {_READ} AND records.time > erasures.time) AS reads_since
FROM erasures WHERE erasures.document = asked""",
    ),
    Macro(
        "verify_log",
        (),
        "Whether the log's records follow from each other, and are those a checkpoint covers.",
        """
WITH followed AS (
    SELECT segment, number, digest, previous, line,
        lag(number, 1, 0) OVER chain AS number_before,
        lag(digest, 1, repeat('0', 64)) OVER chain AS digest_before
    FROM log_chain WINDOW chain AS (PARTITION BY segment ORDER BY number)),
faults AS (
    SELECT segment, number, 'changed: its digest is not that of its bytes' AS finding FROM followed
    WHERE line IS NOT NULL AND sha256(left(line, length(line) - 77) || '}') <> digest
    UNION ALL SELECT segment, number, 'changed: its bytes name another place or digest' FROM followed
    WHERE line IS NOT NULL AND NOT coalesce(
        line ->> 'segment' = segment AND (line ->> 'number')::BIGINT = number
        AND line ->> 'digest' = digest AND line ->> 'previous' = previous, false)
    UNION ALL SELECT segment, number, 'dropped: the record before it is not there' FROM followed
    WHERE number <> number_before + 1
    UNION ALL SELECT segment, number, 'rewritten: it does not follow the record before it' FROM followed
    WHERE number = number_before + 1 AND previous <> digest_before
    UNION ALL SELECT parts.segment, parts.to, 'cut or rewritten: not the record checkpoint '
        || parts.checkpoint || ' signed' FROM log_parts AS parts
    LEFT JOIN log_chain AS chain ON chain.segment = parts.segment AND chain.number = parts.to
    WHERE NOT parts.removed AND chain.digest IS DISTINCT FROM parts.last)
SELECT count(*) = 0 AS holds, (SELECT count(*) FROM log_chain) AS records,
    (SELECT count(line) FROM log_chain) AS computed,
    (SELECT coalesce(sum(signed), 0)::BIGINT FROM (SELECT max(parts.to) AS signed FROM log_parts AS parts
        WHERE NOT parts.removed GROUP BY parts.segment)) AS signed,
    arg_min(segment || ':' || number, (segment, number)) AS first_bad,
    arg_min(finding, (segment, number)) AS finding
FROM faults""",
    ),
)
"""Every question, in the order of docs/audit-sql.md."""

VIEWS = (
    """CREATE VIEW objects AS
SELECT id, document FROM nodes WHERE document <> '' UNION SELECT document, document FROM erasures""",
    """CREATE VIEW documents AS
SELECT id, label, run, path FROM nodes WHERE kind = 'document'""",
)
