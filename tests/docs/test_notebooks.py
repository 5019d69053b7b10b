"""Every notebook runs from the first cell to the last, and is committed with what it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import nbformat
import pytest
from jupyter_client import KernelManager
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 300
FOUND = {"quickstart.ipynb": "'Meridian': False", "auditor.ipynb": "'holds': True"}
"""What the last cell but one of each shows: no word in the files, and a log that holds."""


def test_each_notebook_ends_in_something_that_is_looked_at() -> None:
    assert [path.name for path in NOTEBOOKS] == sorted(FOUND)


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelManager]:
    """One process for all of them, which loads what they import once."""
    manager = KernelManager(kernel_name="python3")
    yield manager
    manager.shutdown_kernel(now=True)


def execute(notebook: nbformat.NotebookNode, kernel: KernelManager) -> None:
    client = NotebookClient(notebook, km=kernel, timeout=CELL_TIMEOUT_S)
    client.execute()
    client.kc.stop_channels()


def anew(folder: Path) -> nbformat.NotebookNode:
    """A notebook after which the next one finds what it would in a kernel of its own, with its keys in a folder."""
    cell = f"""
        import os
        os.chdir({str(folder)!r})
        os.environ["RINGFENCE_HOME"] = {str(folder / "keys")!r}
        %reset -f
        """
    return new_notebook(cells=[new_code_cell(dedent(cell))])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_runs_from_the_first_cell_to_the_last(
    path: Path, tmp_path: Path, kernel: KernelManager
) -> None:
    shutil.copytree(REPO / "examples", tmp_path / "examples")
    notebook = nbformat.read(path, as_version=4)
    execute(anew(tmp_path), kernel)
    execute(notebook, kernel)
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-2]
    assert FOUND[path.name] in str(last["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_is_committed_with_its_tables_and_one_picture(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
