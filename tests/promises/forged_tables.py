"""Put other rows where a store's tables stand, as somebody can who may write its files and has no key."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import lance
import pyarrow as pa


def table_of(store: Path, name: str) -> lance.LanceDataset:
    """Return a table of a store, at its newest version."""
    return lance.dataset(str(store / "lance" / f"{name}.lance"))


def replace_published(dataset: lance.LanceDataset, rows: pa.Table) -> None:
    """Put other rows where the newest version stands."""
    replace_versions(dataset, {dataset.version: rows})


def replace_versions(dataset: lance.LanceDataset, rows: Mapping[int, pa.Table]) -> None:
    """Put other rows where some versions stand; every other one is empty."""
    path, version = Path(dataset.uri.removeprefix("file://")), dataset.version
    schema = next(iter(rows.values())).schema
    shutil.rmtree(path)
    for each in range(1, version + 1):
        lance.write_dataset(
            rows.get(each, schema.empty_table()), str(path), mode="overwrite" if each > 1 else "create"
        )
    for each, wanted in rows.items():
        assert lance.dataset(str(path), version=each).count_rows() == wanted.num_rows


def under(rows: pa.Table, atom: int) -> pa.Table:
    """Return rows that say they are of another label."""
    place = rows.schema.get_field_index("atom")
    return rows.set_column(place, rows.schema.field("atom"), pa.array([atom] * rows.num_rows, pa.int32()))
