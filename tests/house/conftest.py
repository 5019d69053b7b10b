"""Where things are in this checkout, and a Python that sees its packages."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
TIMEOUT_S = 120


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def pyproject(repo: Path) -> dict[str, Any]:
    return tomllib.loads((repo / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="session")
def packages(repo: Path, pyproject: dict[str, Any]) -> dict[str, Path]:
    """Import name of each package -> its folder, as the wheel takes them."""
    included = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    return {Path(folder).name: repo / folder for folder in included}


@pytest.fixture(scope="session")
def modules(packages: dict[str, Path]) -> dict[str, Path]:
    """Dotted name of each module -> its file."""
    found = {}
    for folder in packages.values():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@pytest.fixture(scope="session")
def run_python(packages: dict[str, Path], repo: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run this Python in a process of its own, from the repository, with the source roots on its path."""
    roots = os.pathsep.join(str(folder.parent) for folder in packages.values())

    def run(
        arguments: Sequence[str], *, cwd: Path = repo, path: str = roots, timeout_s: int = TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "110"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run
