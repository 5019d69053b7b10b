"""The public face is a list that somebody chose: nothing joins or leaves it by accident."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

import ringfence

DIR = "import json, ringfence; print(json.dumps([n for n in dir(ringfence) if not n.startswith('_')]))"


@pytest.fixture(scope="session")
def expected() -> list[str]:
    lines = (Path(__file__).parent / "public_names.txt").read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_public_names_are_exactly_the_listed_ones(expected: list[str]) -> None:
    assert sorted(ringfence.__all__) == sorted(expected)


def test_the_version_is_that_of_the_distribution(pyproject: dict[str, Any]) -> None:
    assert ringfence.__version__ == pyproject["project"]["version"]


def test_a_public_name_is_listed_once(expected: list[str]) -> None:
    assert len(set(ringfence.__all__)) == len(ringfence.__all__)
    assert len(set(expected)) == len(expected)


def test_every_public_name_leads_to_something() -> None:
    for name in ringfence.__all__:
        assert getattr(ringfence, name) is not None, name


def test_every_public_class_and_function_has_a_docstring() -> None:
    faces = {name: getattr(ringfence, name) for name in ringfence.__all__}
    described = {
        name: face for name, face in faces.items() if inspect.isclass(face) or inspect.isroutine(face)
    }
    assert not [name for name, face in described.items() if not inspect.getdoc(face)]


def test_a_fresh_import_offers_the_listed_names_and_no_other(
    run_python: Callable[..., CompletedProcess[str]], packages: dict[str, Path], expected: list[str]
) -> None:
    """The modules of the package itself may be seen; what they imported may not."""
    run = run_python(["-c", DIR])
    assert run.returncode == 0, run.stderr
    parts = {entry.stem for entry in packages["ringfence"].iterdir()}
    offered = set(json.loads(run.stdout)) - {"annotations"}
    assert not offered - set(expected) - parts
    listed = {name for name in expected if not name.startswith("_")}
    assert not listed - offered, "dir(ringfence) hides these; completion in a notebook needs them"
