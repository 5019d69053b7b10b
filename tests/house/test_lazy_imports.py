"""`import ringfence` and `--help` answer at once: no engine and no model runtime is loaded for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from subprocess import CompletedProcess
from typing import Any

import pytest

Run = Callable[..., CompletedProcess[str]]

HEAVY = {
    "boto3",
    "botocore",
    "casbin",
    "duckdb",
    "lance",
    "lancedb",
    "llvmlite",
    "numba",
    "numpy",
    "obstore",
    "onnxruntime",
    "pandas",
    "polars",
    "psycopg",
    "pyarrow",
    "sentence_transformers",
    "sqlalchemy",
    "tokenizers",
    "torch",
    "transformers",
}
IMPORT_LINE = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", re.MULTILINE)


def loaded(run: CompletedProcess[str]) -> set[str]:
    """Top-level names of everything that `python -X importtime` reported."""
    names = {name.split(".")[0] for name in IMPORT_LINE.findall(run.stderr)}
    assert "ringfence" in names, run.stdout + run.stderr
    return names


def test_importing_ringfence_loads_no_engine(run_python: Run) -> None:
    run = run_python(["-X", "importtime", "-c", "import ringfence"])
    assert run.returncode == 0, run.stderr
    assert not loaded(run) & HEAVY


def test_help_of_the_module_loads_no_engine(run_python: Run) -> None:
    run = run_python(["-X", "importtime", "-m", "ringfence", "--help"])
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout
    assert not loaded(run) & HEAVY


def test_help_of_the_command_loads_no_engine(run_python: Run, pyproject: dict[str, Any]) -> None:
    module, _, function = pyproject["project"]["scripts"]["ringfence"].partition(":")
    program = f"import sys; sys.argv = ['ringfence', '--help']; from {module} import {function}; {function}()"
    run = run_python(["-X", "importtime", "-c", program])
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout
    assert not loaded(run) & HEAVY


@pytest.mark.parametrize("engine", ["duckdb", "casbin"])
def test_a_loaded_engine_would_be_seen(engine: str, run_python: Run) -> None:
    run = run_python(["-X", "importtime", "-c", f"import ringfence, {engine}"])
    assert engine in loaded(run) & HEAVY
