"""Which kind a store is made as, and that no file can say another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.errors import InvalidInput, StoreCorrupt, StoreError
from ringfence_governance.store_modes import StoreMode
from ringfence_governance.vector_models import VectorModel

from .worlds import (
    INDEXED,
    World,
    make_world,
    open_world,
    subject,
)


@pytest.fixture(scope="session")
def template(indexed_template: World) -> World:
    """What `world` is a copy of."""
    return indexed_template


# What it is made as.


@pytest.mark.parametrize(
    "changes",
    [{"mode": "sealed", "dimensions": 0}, {"mode": "other"}, {"dimensions": 0}, {"dimensions": "8"}],
)
def test_a_marker_that_says_another_mode_is_refused(world: World, changes: dict[str, object]) -> None:
    world.door.close()
    path = world.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(StoreCorrupt, match="store"):
        open_world(world.folder)


def test_a_sealed_stores_marker_cannot_make_it_write_words(tmp_path: Path) -> None:
    world = make_world(tmp_path, mode=StoreMode())
    world.door.close()
    path = world.path / "store.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | INDEXED.to_mapping()))
    with pytest.raises(StoreCorrupt, match="says it is indexed"):
        open_world(tmp_path)


@pytest.mark.parametrize(
    ("name", "dimensions"), [("indexed", 0), ("indexed", 8193), ("sealed", 8), ("open", 8)]
)
def test_a_mode_that_cannot_be_is_refused(name: Any, dimensions: int) -> None:
    with pytest.raises(InvalidInput, match="mode"):
        StoreMode(name, dimensions)


def test_a_model_of_another_length_is_refused_before_anything_is_written(world: World) -> None:
    longer = VectorModel("test-hash", "0" * 64, 16)
    with (
        pytest.raises(StoreError, match="expected 8, which this indexed store was made for"),
        world.ingestion(model=longer),
    ):
        pytest.fail("it began")


def test_status_says_what_is_weaker(world: World) -> None:
    told = world.door.status(subject("acme/user:nobody"))
    assert told["mode"] == "indexed"
    assert "learns" in told["weaker"]
