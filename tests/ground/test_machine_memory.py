"""A container's limit is the machine's memory for who runs in it, and what was freed goes back."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringfence_governance import resident
from ringfence_governance.machine_memory import memory_bytes
from ringfence_governance.memory_budget import SHARE_OF_MEMORY, memory_share
from ringfence_governance.reading import Answer, GrantedReader

from .worlds import World, subject

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def machine(root: Path, groups: str, **limits: str) -> Path:
    """Write what Linux tells a process of its groups; `/` stands as `__` in the name of a limit's file."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups, "utf-8")
    for name, limit in limits.items():
        file = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit, "ascii")
    return root


@pytest.mark.parametrize(
    ("groups", "limits", "wanted"),
    [
        ("0::/\n", {"memory_dot_max": f"{64 * MIB}\n"}, 64 * MIB),
        ("0::/\n", {"memory_dot_max": "max\n"}, MACHINE),
        # A service's own limit, and a lower one of the slice around it.
        (
            "0::/system.slice/app.service\n",
            {
                "system_dot_slice__app_dot_service__memory_dot_max": f"{96 * MIB}\n",
                "system_dot_slice__memory_dot_max": f"{64 * MIB}\n",
            },
            64 * MIB,
        ),
        # The former kind; in a container the path is the one outside, which is not there.
        (
            "5:cpu,cpuacct:/\n4:memory:/docker/2ad43b\n0::/\n",
            {"memory__memory_dot_limit_in_bytes": f"{64 * MIB}\n"},
            64 * MIB,
        ),
        ("4:memory:/\n", {"memory__memory_dot_limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("nonsense\n", {"memory_dot_max": "many\n"}, MACHINE),
    ],
)
def test_the_lowest_limit_counts(tmp_path: Path, groups: str, limits: dict[str, str], wanted: int) -> None:
    assert memory_bytes(machine(tmp_path, groups, **limits)) == wanted


def test_without_groups_the_machine_counts(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path) == MACHINE


def test_what_opened_rows_may_take_is_a_share_of_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringfence_governance.memory_budget.memory_bytes", lambda: 64 * MIB)
    assert memory_share() == 64 * MIB // SHARE_OF_MEMORY


HOLES = """
from pathlib import Path
from ringfence_governance.machine_memory import give_back

def taken():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

blobs = [b"x" * 100_000 for _ in range(2_000)]
kept = blobs[::50]
del blobs
before = taken()
give_back()
print(before - taken())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
def test_what_was_freed_between_what_stays_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOLES],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 100


def test_it_goes_back_after_many_rows_were_opened_or_let_go(
    filled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(resident, "give_back", lambda: calls.append(1))
    held = filled.ground.resident

    def open_all() -> None:
        def work(reader: GrantedReader) -> Answer[None]:
            list(reader.passes())
            return Answer([], lambda as_of: None)

        filled.door.read(subject("acme/user:lee"), "list", work)

    open_all()
    assert held.size
    assert not calls
    held.clear()
    held.clear()
    assert len(calls) == 1
    monkeypatch.setattr(resident, "MANY_ROWS", 1)
    open_all()
    open_all()
    assert len(calls) == 2
    held.limit(held.budget)
    assert len(calls) == 2
    held.limit(1)
    assert not held.size
    assert len(calls) == 3
