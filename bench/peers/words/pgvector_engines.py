"""Postgres' own text search, and that joined with pgvector, under row-level security.

Promise: asked as a role that is neither owner nor above the policy. Words as they stand (`simple`), any of them; the
rank is `ts_rank`, which knows no other row. No index over the vectors: by meaning every row that passes is looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bench.peers.engines import Answered, Kind
from bench.peers.engines import Asked as Asking
from bench.peers.pgvector_engines import POLICIES, Pgvector, take_vectors
from bench.peers.question_sets import Cell

from .depths import DEPTHS
from .word_sets import Asked, WordSet

RRF = 60
ROLE = "reader_array_0"
BY_WORDS = """
    SELECT row, ts_rank(words, query) AS score FROM rows, to_tsquery('simple', %b) query
    WHERE words @@ query ORDER BY score DESC, row LIMIT {depth}"""
BY_MEANING = "SELECT row, v <#> %b AS distance FROM rows ORDER BY distance, row LIMIT {depth}"
BY_BOTH = f"""
    WITH a AS (SELECT row, row_number() OVER (ORDER BY score DESC, row) AS rank FROM ({BY_WORDS}) found),
    b AS (SELECT row, row_number() OVER (ORDER BY distance, row) AS rank FROM ({BY_MEANING}) found)
    SELECT row, coalesce(1.0 / ({RRF} + a.rank), 0) + coalesce(1.0 / ({RRF} + b.rank), 0) AS score
    FROM a FULL JOIN b USING (row) ORDER BY score DESC, row LIMIT {{depth}}"""


class Postgres(Pgvector):
    """One server with one table and one role."""

    def open(self, questions: Any, folder: Path) -> None:
        """Start a server and fill it."""
        self._start()
        with self._server.connect() as owner:
            _fill(owner, questions)
        connection = self._connected("array", 0)
        self.engines = {"pgvector-text": Text(connection), "pgvector-hybrid": Hybrid(connection)}


class Text:
    """By words."""

    title = "Postgres text search, row-level security `= ANY(array)`"
    kind: Kind = "enforces"
    tuned = False
    knobs: ClassVar[dict[str, Any]] = DEPTHS
    statement = BY_WORDS

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def reader(self, cell: Cell, knob: int) -> Asking:
        """Say who asks, in the session."""
        readable = "{" + ",".join(map(str, cell.readable)) + "}"
        self._connection.execute("SELECT set_config('app.readable', %s, false)", (readable,))
        statement = self.statement.format(depth=knob)

        def ask(asked: Asked) -> Answered:
            found = self._connection.execute(statement, self._given(asked), prepare=True).fetchall()
            return Answered([row for row, _ in found], [float(score) for _, score in found])

        return ask

    def _given(self, asked: Asked) -> tuple[Any, ...]:
        return (" | ".join(asked.text.split()),)


class Hybrid(Text):
    """By both, each as deep as the answer, joined by reciprocal ranks in one statement."""

    title = "Postgres text search and pgvector, row-level security `= ANY(array)`"
    statement = BY_BOTH

    def _given(self, asked: Asked) -> tuple[Any, ...]:
        return (*super()._given(asked), asked.vector)


def _fill(owner: Any, questions: WordSet) -> None:
    """Write rows, indexes, the role and its policy."""
    owner.execute("CREATE EXTENSION vector")
    dimensions = questions.vectors.shape[1]
    owner.execute(
        f"CREATE TABLE rows (row int PRIMARY KEY, label_0 int, content text, v vector({dimensions}))"
    )
    owner.execute("ALTER TABLE rows ALTER COLUMN v SET STORAGE PLAIN")
    take_vectors(owner)
    with owner.cursor().copy("COPY rows (row, label_0, content, v) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "int4", "text", "vector"])
        for row, label in enumerate(questions.labels[0].tolist()):
            copy.write_row((row, label, questions.text(row), np.asarray(questions.vectors[row])))
    owner.execute(
        "ALTER TABLE rows ADD COLUMN words tsvector GENERATED ALWAYS AS (to_tsvector('simple', content)) STORED"
    )
    owner.execute("CREATE INDEX ON rows USING gin (words)")
    owner.execute("CREATE INDEX ON rows (label_0)")
    owner.execute("ALTER TABLE rows ENABLE ROW LEVEL SECURITY")
    owner.execute(f"CREATE ROLE {ROLE}")
    owner.execute(f"GRANT SELECT ON rows TO {ROLE}")
    using = POLICIES["array"].format(column="label_0", place=0)
    owner.execute(f"CREATE POLICY {ROLE} ON rows FOR SELECT TO {ROLE} USING ({using})")
    owner.execute("VACUUM ANALYZE rows")


def made() -> Postgres:
    """Return the group."""
    return Postgres()
