"""A small firm in a store, made through the command line, and two ways to call the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ringfence.cli import app

INGESTER, ADMIN, AUDITOR = "acme/user:ingester", "acme/user:ada", "acme/user:olga"
TIMEOUT_S = 120

POLICY = """\
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/user:ada, acme, acme/policy, administer, any, *, -, -, allow
p, acme/user:olga, acme, *, audit, any, *, -, -, allow
p, acme/agent:desk, acme, *, delegate, any, *, -, -, allow
g, acme/user:carl, acme/group:sales
g, acme/user:sam, acme/group:support
f, acme/user:dora, 2, payroll
"""
LABELS = """\
labels:
  acme/label:payroll:
    owner: acme/user:dora
    level: 2
    compartments: [payroll]
  acme/label:cases:
    owner: acme/user:dora
    readers: [acme/group:support]
    purposes: [support]
"""
TESTS = """\
cases:
  - {who: acme/user:dora, may: read, label: acme/label:payroll, answer: allow}
  - {who: acme/user:sam, may: read, label: acme/label:cases, purpose: support, answer: allow}
  - {who: acme/user:sam, via: [acme/agent:desk], may: read, label: acme/label:cases, answer: deny}
  - {who: acme/user:ada, may: administer, label: acme/policy, answer: allow}
"""
FILES = {
    "offer.txt": "We offered Meridian forty pumps at a floor price.\n",
    "notes.md": "# Pump [red]notes[/red] \x1b]0;taken\x07\n\nThe pump is [bold]loud[/bold] \x1b[31mred\u202e.\n",
}


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object that standard output is."""
        assert self.out.endswith("\n"), self
        assert self.out.count("\n") == 1, self
        assert self.out.isascii()
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Call = Callable[..., Run]


@pytest.fixture(scope="session")
def call() -> Call:
    """Run a command in this process; an exception that gets out of it fails the test."""

    def run(*words: object, env: dict[str, str] | None = None, stdin: str = "") -> Run:
        arguments = [str(word) for word in words]
        result = CliRunner().invoke(app, arguments, input=stdin, env=env, catch_exceptions=False)
        return Run(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def call_process() -> Call:
    """Run a command in a process of its own."""

    def run(*words: object, env: dict[str, str] | None = None) -> Run:
        done = subprocess.run(
            command_line(*words),
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def command_line(*words: object) -> list[str]:
    return [sys.executable, "-m", "ringfence", *map(str, words)]


def environment(more: dict[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | (more or {})


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy")
    (folder / "policy.csv").write_text(POLICY, "utf-8")
    (folder / "labels.yaml").write_text(LABELS, "utf-8")
    (folder / "tests.yaml").write_text(TESTS, "utf-8")
    return folder


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three folders: for sales, of payroll, of support cases."""
    folder = tmp_path_factory.mktemp("sources")
    texts = {
        "sales": FILES,
        "payroll": {"salaries.txt": "Carl earns a low salary, and the pump fund is empty.\n"},
        "cases": {"case.txt": "The pump of Coldwater leaks.\n"},
    }
    for name, files in texts.items():
        (folder / name).mkdir()
        for path, text in files.items():
            (folder / name / path).write_text(text, "utf-8")
    return {name: folder / name for name in texts}


@pytest.fixture(scope="session")
def made(
    call: Call, policy_folder: Path, sources: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    store = tmp_path_factory.mktemp("firm") / "store"
    assert call("init", store, "--policy", policy_folder, "--admin", INGESTER).code == 0
    written = ["--as", INGESTER, "--embedder", "hash"]
    inline = ["--owner", "acme/user:carl", "--reader", "acme/group:sales"]
    for words in (
        [sources["sales"], *inline],
        [sources["payroll"], "--label", "acme/label:payroll"],
        [sources["cases"], "--label", "acme/label:cases"],
    ):
        run = call("ingest", store, *words, *written)
        assert run.code == 0, run
    return store


@pytest.fixture(scope="session")
def firm(made: Path) -> Path:
    """A store that tests share: sales has two documents of carl's, payroll and support one of dora's each."""
    return made


@pytest.fixture
def own_firm(made: Path, tmp_path: Path) -> Path:
    """A copy of the store that one test may change."""
    return Path(shutil.copytree(made, tmp_path / "store"))


@pytest.fixture(scope="session")
def offer(call: Call, firm: Path) -> str:
    """The id of the document offer.txt."""
    found = call("list", firm, "--as", "acme/user:carl", "--json").json["documents"]
    return str(next(each["id"] for each in found if each["path"] == "offer.txt"))
