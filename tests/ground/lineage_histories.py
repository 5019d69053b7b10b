"""Stores whose lineage is any graph: rows are written into the tables as they are, and published."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from ringfence_governance import catalog_schema as schema
from ringfence_governance import erasure_ledger, publications
from ringfence_governance.grants import Grant
from ringfence_governance.lineage_walk import _Audited, _in_order, _Own, walk
from ringfence_governance.publications import Publication
from ringfence_governance.resident_lineage import ResidentLineage
from ringfence_governance.table_schemas import SCHEMAS, TABLES, TableChange, moved

from .worlds import World, copy_world, subject

HAL, BOB, DORA = "acme/user:hal", "acme/user:bob", "acme/user:dora"
OLGA, OTTO = "acme/user:olga", "acme/user:otto"
ASKING = ((HAL, False), (BOB, False), (DORA, False), (OLGA, True), (OTTO, True))
"""Who walks, and whether as an auditor."""
LABELS = ("acme/label:staff", "acme/label:payroll", "acme/label:project")
DIRECTIONS = ("ancestors", "descendants")
Row = dict[str, Any]


@dataclass
class LineageHistory:
    """One store, its rows beside it, and the publications it had."""

    world: World
    dice: random.Random
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in TABLES})
    publications: list[Publication] = field(default_factory=list)
    made: int = 0

    @classmethod
    def begun(cls, empty: World, folder: Path, seed: int) -> LineageHistory:
        """Begin in a copy of a sealed store without documents."""
        return cls(copy_world(empty, folder), random.Random(seed))

    @property
    def held(self) -> ResidentLineage:
        return self.world.ground.resident_lineage

    def atoms(self) -> list[int]:
        by_name = self.world.ground.moment().table.by_id
        return [by_name[name].atom for name in LABELS]

    def new_id(self) -> str:
        """An id as they are drawn, and now and then one whose first half another one has."""
        self.made += 1
        upper = self.dice.choice([self.dice.getrandbits(64), 7 << 60])
        return f"{upper:016x}{self.made:016x}"

    def publish(self, changes: dict[str, TableChange], erased: Collection[str] = ()) -> None:
        ground = self.world.ground
        versions = ground.tables.write(ground.moment().publication.versions, changes)
        with ground.catalog.write() as connection:
            if erased:
                entry = erasure_ledger.entry(ground.catalog, self.new_id(), erased, {})
                erasure_ledger.add(ground.catalog, connection, entry)
            # All under the run that made the store: who wrote a row is said by the row.
            run = connection.execute(select(schema.publications.c.run_id).limit(1)).scalar_one()
            made = publications.publish(ground.catalog, connection, run, 0, versions)
        self.publications.append(made)

    def write(self, count: int) -> None:
        """Write documents with passages, made from whatever is there, themselves among it."""
        run, added = self.new_id(), {name: dict[str, Row]() for name in TABLES}
        nodes = [*self.rows["documents"], *self.rows["chunks"], self.new_id()]
        for _ in range(count):
            again = self.dice.random() < 0.2 and self.rows["documents"]
            document = self.dice.choice(sorted(self.rows["documents"])) if again else self.new_id()
            atom = self.dice.choice(self.atoms())
            blank = {"atom": atom, "run_id": run, "metadata": b"", "text": b""}
            added["documents"][document] = {"id": document, **blank}
            nodes.append(document)
            ends = [(document, self.dice.choice(nodes), "document")]
            for ordinal in range(self.dice.randint(0, 2)):
                passage = self.new_id()
                more = {"document_id": document, "ordinal": ordinal, "token_count": 1}
                added["chunks"][passage] = {
                    "id": passage,
                    **blank,
                    **more,
                    "vector": b"",
                    "terms": b"",
                }
                ends.append((passage, document, "chunk"))
                nodes.append(passage)
            ends += [(document, self.dice.choice(nodes), "derived") for _ in range(self.dice.randint(0, 3))]
            for child, parent, kind in ends:
                # Now and then an edge of a writing that does not stand.
                edge_run = run if self.dice.random() < 0.9 else self.new_id()
                row = {"id": self.new_id(), "atom": atom, "run_id": edge_run}
                added["edges"][row["id"]] = {**row, "child": child, "parent": parent, "kind": kind}
        gone = [each for each in added["documents"] if each in self.rows["documents"]]
        passages = [key for key, row in self.rows["chunks"].items() if row["document_id"] in gone]
        self._change({"documents": gone, "chunks": passages}, added)

    def relabel(self) -> None:
        """Give some rows of each table another atom."""
        changes = {}
        for name in TABLES:
            some = self._some(name)
            atoms = {key: self.dice.choice(self.atoms()) for key in some}
            self.rows[name] |= {key: {**self.rows[name][key], "atom": atom} for key, atom in atoms.items()}
            changes[name] = TableChange(atoms=moved(atoms))
        self.publish(changes)

    def remove(self) -> None:
        """Remove some documents and passages; their edges stay."""
        self._change({"documents": self._some("documents"), "chunks": self._some("chunks")}, {})

    def erase(self) -> None:
        """Erase some documents, with all rows that name them."""
        documents = self._some("documents")
        if not documents:
            return
        chunks = [key for key, row in self.rows["chunks"].items() if row["document_id"] in documents]
        nodes = {*documents, *chunks}
        edges = [key for key, row in self.rows["edges"].items() if nodes & {row["child"], row["parent"]}]
        gone = {"documents": documents, "chunks": chunks, "edges": edges}
        self._change(gone, {}, erased=documents, materialised=True)

    def compact(self) -> None:
        """Write all tables anew, in order."""
        self.publish({name: TableChange(clustered=True) for name in TABLES})

    def _some(self, name: str) -> list[str]:
        keys = sorted(self.rows[name])
        return self.dice.sample(keys, min(len(keys), self.dice.randint(0, 3)))

    def _change(
        self,
        gone: dict[str, list[str]],
        added: dict[str, dict[str, Row]],
        *,
        erased: Collection[str] = (),
        **how: Any,
    ) -> None:
        changes = {}
        for name in TABLES:
            new = list(added.get(name, {}).values())
            table = pa.Table.from_pylist(new, schema=SCHEMAS[name]) if new else None
            changes[name] = TableChange(deleted=tuple(gone.get(name, ())), appended=table, **how)
            for key in gone.get(name, ()):
                del self.rows[name][key]
            self.rows[name] |= added.get(name, {})
        self.publish(changes, erased)

    def starts(self) -> list[str]:
        """Some nodes to walk from."""
        nodes = sorted({**self.rows["documents"], **self.rows["chunks"]})
        return self.dice.sample(nodes, min(len(nodes), 3))

    def grant(self, who: str, audit: bool, publication: Publication | None = None) -> Grant:
        """What one may read, over the newest publication or an earlier one."""
        ground = self.world.ground
        found = ground.grant(subject(who), "audit" if audit else "read")
        if publication is None:
            return found
        return ground.issued.add(replace(found, publication=publication))

    def walked(self, grant: Grant, start: str, direction: str, depth: int) -> tuple[Any, ...]:
        """All that one walk finds, in the order it is told in."""
        sight = (_Audited if grant.action == "audit" else _Own)(self.world.ground, grant)
        found = walk(sight, start, direction, depth)
        return _in_order(found), sorted(found.edges.items()), found.hidden, found.complete

    @contextmanager
    def by_look_ups(self) -> Iterator[None]:
        """Look every row up meanwhile."""
        ground, before = self.world.ground, self.held
        ground.resident_lineage = ResidentLineage(ground.tables, ground.resident)
        ground.resident_lineage._closed = True
        try:
            yield
        finally:
            ground.resident_lineage = before
