"""Stores that tests of several files want, made once and copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .derived_store import derivable_store, derive
from .seeded_store import SeededStore


@pytest.fixture(scope="session")
def derivable_template(tmp_path_factory: pytest.TempPathFactory) -> SeededStore:
    store = derivable_store(tmp_path_factory.mktemp("derivable"))
    store.close()
    return store


@pytest.fixture(scope="session")
def derived_template(tmp_path_factory: pytest.TempPathFactory) -> SeededStore:
    store = derivable_store(tmp_path_factory.mktemp("derived"))
    derive(store)
    store.close()
    return store


@pytest.fixture
def derivable(derivable_template: SeededStore, tmp_path: Path) -> Iterator[SeededStore]:
    """An empty store of its own with the rules of :mod:`derived_store`."""
    store = derivable_template.copied(tmp_path / "derivable")
    yield store
    store.close()


@pytest.fixture
def derived(derived_template: SeededStore, tmp_path: Path) -> Iterator[SeededStore]:
    """The same with two inputs and what was made of both, see :func:`derived_store.derive`."""
    store = derived_template.copied(tmp_path / "derived")
    yield store
    store.close()
