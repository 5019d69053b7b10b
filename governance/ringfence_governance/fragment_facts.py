"""Say what a table version is made of, before anything of it is read, and read where its rows lie.

Promise: two fragments have one signature only if their data files, their
deletions and their number are the same, and one content only if the files
that hold anything but the atoms are.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa

from .errors import StoreCorrupt
from .lance_upkeep import Dataset
from .row_map import FragmentColumns, FragmentFacts, VersionFacts

Reading = Callable[[], AbstractContextManager[None]]


def facts_of(dataset: Dataset, reading: Reading, count: str) -> VersionFacts:
    """Return what a table version says of itself.

    Args:
        reading: Turns an error of a read into one that names the table alone.
        count: The column that says how many words a row has, if there is one.

    Raises:
        StoreCorrupt: The table has no column of atoms.
    """
    with reading():
        field = dataset.lance_schema.field_case_insensitive("atom")
        if field is None:
            raise StoreCorrupt("a table has no column of atoms; nothing was read")
        atom = field.id()
        counted = [count] if count in dataset.schema.names else []
        fragments = {fragment.fragment_id: fragment for fragment in dataset.get_fragments()}
        facts = [_facts(number, fragment, atom) for number, fragment in fragments.items()]

    def read(numbers: Collection[int]) -> dict[int, FragmentColumns]:
        some = [fragments[number] for number in numbers]
        with reading():
            scanner = dataset.scanner(columns=["atom", *counted], fragments=some, with_row_address=True)
            found = scanner.to_table()
        return _by_fragment(found, count if counted else None)

    def batches(numbers: Collection[int], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with reading():
            yield from dataset.scanner(
                columns=["atom", *columns],
                fragments=[fragments[number] for number in sorted(numbers)],
                with_row_address=True,
            ).to_batches()

    return VersionFacts(facts, read, batches)


def _facts(number: int, fragment: Any, atom: int) -> FragmentFacts:
    metadata = fragment.metadata
    # A field a later file took over is marked by a negative number in the file it stood in.
    files = [file.path for file in metadata.files if any(each >= 0 and each != atom for each in file.fields)]
    return FragmentFacts(
        number,
        json.dumps(metadata.to_json(), sort_keys=True),
        json.dumps(sorted(files)),
        int(metadata.num_rows),
    )


def _by_fragment(found: pa.Table, count: str | None) -> dict[int, FragmentColumns]:
    addresses, atoms = found["_rowaddr"].to_numpy(), found["atom"].to_numpy()
    words = None if count is None else found[count].to_numpy()
    order = np.argsort(addresses)
    numbers, starts = np.unique(addresses[order] >> np.uint64(32), return_index=True)
    return {
        int(number): FragmentColumns(
            addresses[rows].astype(np.uint32), atoms[rows], None if words is None else words[rows]
        )
        for number, rows in zip(numbers, np.split(order, starts[1:]) if len(order) else [], strict=True)
    }
