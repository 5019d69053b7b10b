"""A question in SQL reaches nothing but the auditor's tables: DuckDB is held by its parser and by its own lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from ringfence_governance import audit_access, audit_session
from ringfence_governance.audit_desk import AuditDesk
from ringfence_governance.audit_session import AuditSession
from ringfence_governance.errors import InvalidInput

from .desks import rows
from .past_times import OLGA
from .worlds import World, subject

ATTACKS = [
    "COPY labels TO 'STOLEN'",
    "COPY (SELECT 1) TO 'STOLEN' (FORMAT parquet)",
    "EXPORT DATABASE 'STOLEN'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "FROM query('SELECT 1')",
    "FROM query_table('labels')",
    "FROM main.query('SELECT 1')",
    "FROM system.main.query_table('labels')",
    "FROM \"QUERY\"('SELECT 1')",
    "ATTACH 'STOLEN'",
    "ATTACH ':memory:' AS more",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET threads = 1",
    "RESET memory_limit",
    "PRAGMA enable_profiling",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "CREATE SECRET s (TYPE s3)",
    "CREATE PERSISTENT SECRET s (TYPE s3)",
    "FROM duckdb_secrets()",
    "FROM which_secret('s3://x', 's3')",
    "SELECT current_setting('secret_directory')",
    "SELECT write_log('x')",
    "CREATE TABLE mine AS SELECT 1",
    "CREATE MACRO mine() AS 1",
    "CREATE OR REPLACE MACRO who_can(asked) AS TABLE SELECT 1",
    "DELETE FROM records",
    "UPDATE records SET subject = NULL",
    "INSERT INTO policy (number) VALUES (1)",
    "DROP TABLE records",
    "WITH gone AS (DELETE FROM records RETURNING *) SELECT * FROM gone",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK; COMMIT",
    "PREPARE p AS SELECT 1",
    "SET VARIABLE x = 1",
    "SELECT 1; SELECT 2",
    "IMPORT DATABASE 'STOLEN'",
    "CHECKPOINT",
    "FROM pandas_scan(1)",
    "FROM duckdb_settings()",
    "EXPLAIN ANALYZE DELETE FROM records",
    # DuckDB's own views tell settings: the process's home folder, a proxy of its environment with the password.
    "FROM pg_settings",
    "FROM pg_catalog.pg_settings",
    "FROM system.pg_catalog.pg_settings",
    "SHOW http_proxy",
    "FROM (SHOW secret_directory)",
    "SUMMARIZE pg_settings",
    "SELECT (SELECT min(setting) FROM pg_settings) FROM labels",
    "WITH pg_settings AS (SELECT 1) FROM pg_settings",
    "SELECT * FROM (WITH pg_settings AS (SELECT 1) FROM pg_settings), pg_settings",
    "WITH labels AS (SELECT 1) FROM pg_catalog.labels",
    "FROM duckdb_logs",
    "FROM information_schema.tables",
    "SELECT * FROM documents WHERE id IN (SELECT content FROM read_text('/etc/passwd'))",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_reaches_beyond_the_tables_is_refused(attack: str, desk: AuditDesk, tmp_path: Path) -> None:
    stolen = tmp_path / "stolen"
    with pytest.raises(InvalidInput):
        desk.ask(attack.replace("STOLEN", str(stolen)))
    assert not stolen.exists()
    assert rows(desk, "SELECT count(*) AS n FROM records")[0]["n"] > 0


@pytest.mark.parametrize(
    "query",
    [
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "SHOW labels",
        "DESCRIBE labels",
        "SUMMARIZE labels",
        "FROM memory.main.labels",
        'FROM main."LABELS"',
        "WITH few AS (FROM labels), fewer AS (FROM few) SELECT (SELECT count(*) FROM Fewer)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n WHERE i < 3) FROM n",
        "SELECT * FROM documents JOIN objects ON objects.id = documents.id",
    ],
)
def test_the_auditors_own_tables_may_be_named_in_every_way(query: str, desk: AuditDesk) -> None:
    assert desk.ask(query).rows


BY_ITSELF = [
    "COPY labels TO 'STOLEN'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "ATTACH 'STOLEN'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "SET allowed_directories = ['/']",
    "RESET memory_limit",
    "PRAGMA enable_profiling",
    "CREATE SECRET s (TYPE s3)",
    "SELECT * FROM bystander",
    "EXPORT DATABASE 'STOLEN'",
]


@pytest.mark.parametrize("attack", BY_ITSELF)
def test_duckdb_refuses_by_its_own_lock_what_a_question_would_get_past_the_parser(
    attack: str, desk: AuditDesk, tmp_path: Path
) -> None:
    """The second wall: asked of the connection itself, as if the first were not there."""
    bystander = __import__("pyarrow").table({"a": [1]})
    assert bystander.num_rows == 1
    connection = desk._session._connection
    with pytest.raises(duckdb.Error):
        connection.execute(attack.replace("STOLEN", str(tmp_path / "stolen"))).fetchall()
    assert list(tmp_path.iterdir()) == []


def test_too_many_rows_are_an_error_and_never_a_part(
    desk: AuditDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_session, "ROWS_MAX", 5)
    assert len(desk.ask("FROM range(5)").rows) == 5
    with pytest.raises(InvalidInput, match="more than 5 rows"):
        desk.ask("FROM range(6)")
    assert len(desk.ask("FROM range(3)").rows) == 3


@pytest.mark.parametrize(
    "query", ["", " ", "SELEC 1", "SELECT * FROM nowhere", "SELECT ?", "\0", "x" * 200_000, None]
)
def test_what_is_no_question_is_an_error(query: Any, desk: AuditDesk) -> None:
    with pytest.raises(InvalidInput):
        desk.ask(query)
    assert desk.ask("SELECT 1").rows == ((1,),)


def test_too_much_to_work_out_is_an_error_and_never_a_part(
    used: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_access, "DECISIONS_MAX", 30)
    monkeypatch.setattr(audit_access, "REASONS_MAX", 10)
    desk = used.door.audit_desk(subject(OLGA))
    for query in ("FROM access", "FROM who_can('x')", "FROM reasons"):
        with pytest.raises(InvalidInput, match=r"expected (fewer|at most)"):
            desk.ask(query)
    narrowed = used.door.audit_desk(subject(OLGA), since=desk.at)
    assert rows(narrowed, "FROM access")


def test_what_cannot_be_pickled_is_not(desk: AuditDesk) -> None:
    import pickle

    for each in (desk, desk._session):
        with pytest.raises(TypeError):
            pickle.dumps(each)
    assert isinstance(desk._session, AuditSession)
