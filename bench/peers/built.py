"""Keep what engines built for a question set: a graph takes minutes, and is the same for the same rows.

Promise: what is kept is used again only for the same bytes of rows and labels, the same versions and the same text of
the module that built it. Ringfence's own stores are never kept.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .engines import group
from .process import Process

DISTRIBUTIONS = ("faiss-cpu", "lancedb", "pylance", "qdrant-edge-py", "zvec")


class Built:
    """A folder of what was built.

    Args:
        cache: Stays when the run is over; None to keep nothing.
    """

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache

    def of(self, name: str, data: Path, folder: Path) -> tuple[Path | None, dict[str, Any]]:
        """Return where a group's files are, built now or by a run before, and how long that took.

        Returns:
            None and what is missing, if it cannot be built here.

        Raises:
            Failed: The process that builds did not come to its end.
        """
        kept = self._cache is not None and group(name).kept
        place = (
            self._cache / f"{name}-{_key(name, data)}" if kept and self._cache is not None else folder / name
        )
        done = place.with_suffix(".json")
        if kept and done.exists():
            return place, {**json.loads(done.read_text("utf-8")), "built_before": True}
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        process = Process("build", name, data, place)
        try:
            told = process.answer()
        finally:
            process.end()
        if "missing" in told:
            shutil.rmtree(place, ignore_errors=True)
            return None, told
        facts = {"build_s": told["seconds"], "build_peak_bytes": told["peak_bytes"]}
        facts["disk_bytes"] = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        if kept:
            done.write_text(json.dumps(facts), "utf-8")
        return place, facts


def _key(name: str, data: Path) -> str:
    digest = hashlib.sha256()
    for part in ("vectors.npy", "labels.npy"):
        digest.update((data / part).read_bytes())
    digest.update((Path(__file__).parent / f"{name}_engines.py").read_bytes())
    for distribution in DISTRIBUTIONS:
        digest.update(f"{distribution} {installed(distribution)}\n".encode())
    return digest.hexdigest()[:20]


def installed(distribution: str) -> str:
    """Return the version of a distribution, or that there is none."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"
