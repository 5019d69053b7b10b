"""Every notebook runs from the first cell to the last, and is committed with what it shows."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 300
FOUND = {"quickstart.ipynb": "'Meridian': False", "auditor.ipynb": "'holds': True"}
"""What the last cell but one of each shows: no word in the files, and a log that holds."""


def test_each_notebook_ends_in_something_that_is_looked_at() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(FOUND)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_runs_from_the_first_cell_to_the_last(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RINGFENCE_HOME", str(tmp_path / "keys"))
    shutil.copytree(REPO / "examples", tmp_path / "examples")
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-2]
    assert FOUND[path.name] in str(last["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_is_committed_with_its_tables_and_one_picture(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
