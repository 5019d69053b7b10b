"""The wheel holds our five packages and nothing else, and works beside a user's own `ingest/`.

With TEST_WHEEL set to a wheel (`make wheel` does) that one is judged, and the whole suite runs against it;
else one is built here and a handful of tests run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path
from subprocess import CompletedProcess
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

Run = Callable[..., CompletedProcess[str]]

GIVEN = os.environ.get("TEST_WHEEL")
BESIDE = ["ingest", "governance", "retrieval", "policies", "sdk"]
HANDFUL = ["tests/governance/test_model_scenarios.py", "tests/governance/test_snapshot.py"]
WHOLE_SUITE_S = 3600
DATA_SUFFIXES = {".conf", ".csv", ".yaml"}


def build(repo: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(repo)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(GIVEN).resolve() if GIVEN else build(repo, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def content(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, its dependencies left to this environment."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(folder),
    ]
    run = subprocess.run([*command, str(wheel)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's project whose own packages have the names of our folders."""
    folder = tmp_path_factory.mktemp("project")
    for name in BESIDE:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("OWNER = 'the user'\n", "utf-8")
    return folder


def test_every_top_level_name_of_the_wheel_is_ours(content: set[str], packages: dict[str, Path]) -> None:
    names = {name.split("/")[0] for name in content}
    assert all(name == "ringfence" or name.startswith("ringfence_") for name in names), names
    assert names == set(packages)


def test_the_wheel_holds_every_file_of_the_packages(content: set[str], packages: dict[str, Path]) -> None:
    files = {
        file.relative_to(folder.parent).as_posix()
        for folder in packages.values()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert content == files


def test_the_wheel_holds_the_policy_model_and_rules(content: set[str]) -> None:
    data = {name for name in content if name.startswith("ringfence_policies/")}
    assert "ringfence_policies/model.conf" in data
    suffixes = {Path(name).suffix for name in data}
    assert suffixes >= DATA_SUFFIXES


def test_the_wheel_holds_licence_and_notice(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist() if ".dist-info/" in name}
    assert {"licenses/LICENSE", "licenses/NOTICE"} <= names


def test_the_wheel_requires_pycasbin_and_never_casbin(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        headers = Parser().parsestr(archive.read(name).decode("utf-8"))
    required = {Requirement(line).name for line in headers.get_all("Requires-Dist", [])}
    assert "pycasbin" in required
    assert "casbin" not in required
    assert headers["License-Expression"] == "Apache-2.0"


def test_a_wheel_built_again_is_the_same_to_the_byte(repo: Path, wheel: Path, tmp_path: Path) -> None:
    assert build(repo, tmp_path).read_bytes() == wheel.read_bytes()


def test_the_installed_wheel_leaves_a_users_packages_alone(
    site: Path, elsewhere: Path, run_python: Run
) -> None:
    names = ", ".join(BESIDE)
    program = (
        f"import {names}, ringfence, ringfence_governance\n"
        f"print({{part.OWNER for part in ({names})}})\n"
        "print(ringfence.__file__, ringfence_governance.__file__, sep='\\n')"
    )
    run = run_python(["-c", program], cwd=elsewhere, path=str(site))
    assert run.returncode == 0, run.stderr
    owners, *files = run.stdout.splitlines()
    assert owners == "{'the user'}"
    assert all(Path(file).is_relative_to(site) for file in files), files


def test_the_tests_pass_against_the_installed_wheel(
    site: Path, elsewhere: Path, repo: Path, run_python: Run
) -> None:
    """Run from the user's project, with the source roots taken off pytest's path."""
    command = ["-m", "pytest", "--rootdir", str(repo), "-c", str(repo / "pyproject.toml"), "-q"]
    command += ["-o", "pythonpath=", "-p", "no:cacheprovider", "-m", "not real and not soak and not browser"]
    if GIVEN:
        suite = repo / "tests"
        command += ["-n", "2", "--dist", "loadfile", f"--ignore={suite / 'house'}", str(suite)]
    else:
        command += ["-n", "0", *(str(repo / part) for part in HANDFUL)]
    run = run_python(command, cwd=elsewhere, path=str(site), timeout_s=WHOLE_SUITE_S)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
