"""How much memory may this process have, and how does the machine get back what it freed?

Promise: a container's limit counts as the machine's memory.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def memory_bytes(root: Path = Path("/")) -> int:
    """Return the machine's memory in bytes, or what the process's control groups allow of it.

    Args:
        root: Of the file system.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
    """
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *_limits(root)])


def give_back() -> None:
    """Give back to the machine what was freed, where the C library can; takes milliseconds.

    glibc keeps what was freed between what stays, for itself: after 100,000 rows were opened twice their size.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(ctypes.c_size_t(0))


def _limits(root: Path) -> Iterator[int]:
    try:
        groups = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in groups:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            place, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            place, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = PurePosixPath("/", path)
        # In a container the path may be the one outside; its own limit then stands at the top.
        for each in (group, *group.parents):
            with suppress(OSError, ValueError):
                yield int((place / each.relative_to("/") / name).read_text("ascii"))
