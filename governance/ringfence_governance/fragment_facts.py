"""Say what a fragment of a table version is made of, before anything of it is read.

Promise: two fragments have one signature only if their data files, their
deletions and their number are the same, and one content only if the files
that hold anything but the atoms are.

Source: docs/decisions/0013-resident-blocks.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from .errors import StoreCorrupt
from .lance_upkeep import Dataset
from .row_map import FragmentColumns, FragmentFacts


def facts_of(
    dataset: Dataset,
    fragment: Any,
    reading: Callable[[], AbstractContextManager[None]],
    count: str | None = None,
) -> FragmentFacts:
    """Return what a version says of one fragment.

    Args:
        fragment: One of the dataset's.
        reading: Turns an error of a read into one that names the table alone.
        count: The column that says how many words a row has; None if there is none.

    Raises:
        StoreCorrupt: The table has no column of atoms.
    """
    field = dataset.lance_schema.field_case_insensitive("atom")
    if field is None:
        raise StoreCorrupt("a table has no column of atoms; nothing was read")
    atom = field.id()

    def read() -> FragmentColumns:
        columns = ["atom"] if count is None else ["atom", count]
        with reading():
            found = dataset.scanner(columns=columns, fragments=[fragment], with_row_address=True).to_table()
        return FragmentColumns(
            found["_rowaddr"].to_numpy().astype(np.uint32),
            found["atom"].to_numpy(),
            None if count is None else found[count].to_numpy(),
        )

    metadata = fragment.metadata
    # A field a later file took over is marked by a negative number in the file it stood in.
    files = [file.path for file in metadata.files if any(each >= 0 and each != atom for each in file.fields)]
    return FragmentFacts(
        fragment.fragment_id, json.dumps(metadata.to_json(), sort_keys=True), json.dumps(sorted(files)), read
    )
