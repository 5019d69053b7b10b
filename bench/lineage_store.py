"""A store of a forest's documents, with the rows that a walk along lineage looks up.

Promise: policy, labels, keys and publications are made by the product, and the rows are written by the function that
all its writers call. Those of the forest hold no content: a walk opens none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.digest_embedder import DigestEmbedder
from bench.drafts import Passage, draft_of
from bench.lineage_forest import EDGE, RUN, Forest, Numbers, ids_of
from ringfence_governance import publications, store_files
from ringfence_governance.ambient import Ambient
from ringfence_governance.descendants import DERIVED
from ringfence_governance.door import Door
from ringfence_governance.drafts import DocumentDraft, SourceIdentity
from ringfence_governance.ground import Ground
from ringfence_governance.labels import Label
from ringfence_governance.leases import WriterLease
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.publishing import refuse_moved
from ringfence_governance.subjects import Subject
from ringfence_governance.table_schemas import SCHEMAS, TableChange

ADMIN = Subject("bench/user:admin")
EVERYTHING = Subject("bench/user:everything")
TENTH = Subject("bench/user:tenth")
SHARE = 10
"""Of so many trees the last reader may read one."""
SOURCE = SourceIdentity("file:///bench", "folder")
EMBEDDER = DigestEmbedder()
ROWS_AT_ONCE = 1_000_000
"""Documents of one publication, with their edges."""
DOCUMENTS_PER_RUN = 1000


def trees_of(subject: Subject, trees: int) -> range:
    """Return the trees whose labels a reader may read."""
    return range(0, trees, SHARE if subject == TENTH else 1)


def make(folder: Path, forest: Forest) -> None:
    """Make a store of a forest beneath a folder."""
    bundle = PolicyBundle(shipped_default().rows, (), "benchmark")
    door, _ = Door.create(folder / "store", bundle, ADMIN.person, keys_home=folder / "keys")
    # Real documents, one under each label: those of two labels are made from two of the others.
    single = _put(door, [_draft(number, forest, ()) for number in range(forest.trees)])
    pairs = forest.parts[forest.trees :]
    joined = _put(
        door,
        [
            _draft(number, forest, tuple(dict.fromkeys(single[part] for part in parts)))
            for number, parts in enumerate(pairs, start=forest.trees)
        ],
    )
    door.close()
    ground = opened(folder)
    try:
        _plant(ground, forest, [*single, *joined])
    finally:
        ground.close()


def opened(folder: Path) -> Ground:
    """Open the store that :func:`make` made beneath a folder."""
    return store_files.open_store(folder / "store", Ambient(), keys_home=folder / "keys")


def _draft(number: int, forest: Forest, parents: Sequence[str]) -> DocumentDraft:
    """Return a document under one label of its own, beside what it inherits."""
    tree = forest.parts[number][0]
    readers = {who.person for who in (EVERYTHING, TENTH) if tree in trees_of(who, forest.trees)}
    # An owner of its own makes each label another one, even where the readers are the same.
    label = Label("bench", f"bench/user:owner-{tree}", frozenset({ADMIN.person, *readers}))
    text = f"document {number}"
    (vector,) = EMBEDDER.embed([text])
    made = draft_of(f"{number}.txt", [Passage(text, vector, ("document", str(number)), 2)], label)
    return dataclasses.replace(made, parents=tuple(parents))


def _put(door: Door, drafts: Sequence[DocumentDraft]) -> list[str]:
    with door.ingestion(ADMIN, SOURCE, EMBEDDER.model, pipeline="bench") as ingestion:
        return [ingestion.put(draft) for draft in drafts]


def _plant(ground: Ground, forest: Forest, examples: Sequence[str]) -> None:
    """Write a forest's rows and publish them.

    Args:
        examples: A document under each label, by the label's number.
    """
    version = ground.moment().publication.versions["documents"]
    rows = ground.tables.rows_by("documents", version, "id", examples, ["atom", "run_id"])
    known = {row["id"]: row for row in rows}
    atoms = np.asarray([known[each]["atom"] for each in examples], np.int32)
    run = known[examples[0]]["run_id"]
    for start in range(0, len(forest), ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, len(forest))
        changes = {
            "documents": TableChange(appended=_documents(forest, atoms, start, stop)),
            "edges": TableChange(appended=_edges(forest, atoms, start, stop)),
        }
        with WriterLease(ground.catalog) as lease:
            began = ground.moment().publication
            versions = ground.tables.write(began.versions, changes)
            with ground.catalog.write() as connection:
                refuse_moved(connection, lease, began, None, "written")
                publications.publish(ground.catalog, connection, run, lease.number, versions)


def _documents(forest: Forest, atoms: Numbers, start: int, stop: int) -> pa.Table:
    numbers = np.arange(start, stop)
    nothing = pa.repeat(pa.scalar(b"", pa.binary()), len(numbers))
    columns = {
        "id": ids_of(numbers),
        "atom": pa.array(atoms[forest.labels[numbers]]),
        "run_id": ids_of(numbers // DOCUMENTS_PER_RUN, RUN),
        "metadata": nothing,
        "text": nothing,
    }
    schema = SCHEMAS["documents"]
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _edges(forest: Forest, atoms: Numbers, start: int, stop: int) -> pa.Table:
    children, parents = forest.edges(start, stop)
    columns = {
        "id": ids_of(2 * children + (parents == forest.second[children]), EDGE),
        "atom": pa.array(atoms[forest.labels[children]]),
        "run_id": ids_of(children // DOCUMENTS_PER_RUN, RUN),
        "child": ids_of(children),
        "parent": ids_of(parents),
        "kind": pa.repeat(pa.scalar(DERIVED), len(children)),
    }
    schema = SCHEMAS["edges"]
    return pa.table([columns[name] for name in schema.names], schema=schema)
