"""What every test stands on: no key, event or setting of the machine it runs on."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
import typer.testing

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2 * 2**30
"""What has to be free there; a container often has 64 MiB in all."""

LONG = (
    "promises/test_3_casbin_decides.py",
    "promises/test_4_non_interference.py",
    "governance/test_compiler_oracle.py",
    "docs/test_readme.py",
    "ground/test_faults.py",
    "docs/test_notebooks.py",
    "governance/test_declassification.py",
    "ground/test_policy_concurrency.py",
    "cli/test_process.py",
    "bench/test_ground_bench.py",
    "bench/test_bench_runs.py",
    "bench/test_authority_bench.py",
    "ground/test_bucket_stores.py",
    "promises/test_7_no_read_without_a_record.py",
    "house/test_wheel.py",
    "ground/test_beside.py",
    "promises/test_6_derived_means_inherited.py",
    "promises/test_8_an_earlier_time.py",
    "ground/test_resident.py",
    "ground/test_indexed_stores.py",
    "ground/test_audit_desk.py",
    "ground/test_key_rotation.py",
    "ground/test_explain_at.py",
    "ground/test_store_places.py",
    "ground/test_raw_reader.py",
    "ground/test_policy_apply_failures.py",
    "examples/test_acme_questions.py",
)
"""Files that take a quarter of a minute and more: begun first, so that no process is left alone with one at the end."""


def pytest_configure() -> None:
    """Put the tests' folders into memory where there is room: on a disk they take a quarter more of the processor.

    No test pulls the plug: what a killed process wrote is with the system, in memory as on a disk, and disks that
    fail or are full are played at the system's own calls (`ground/faults.c`).
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long files first; all other tests stay in their order."""
    place = {f"tests/{name}": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.location[0], len(LONG)))


@pytest.fixture(scope="session", autouse=True)
def keys_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keys go to a temporary folder, and OpenLineage's own configuration is not read.

    For the session, not for each test: a store that several tests share finds its keys again.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RINGFENCE_HOME", str(tmp_path_factory.mktemp("keys")))
        for name in [name for name in os.environ if name.startswith("OPENLINEAGE")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_built_once() -> Iterator[None]:
    """Typer's runner makes every command anew for each one that is run, 50 ms of the processor; here it does once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))
        yield
