"""Execute the notebooks of a folder and keep their outputs in the files.

Promise: a cell that raises ends the run with exit code 1 and the notebook's name, and that file stays as
it was. Times of execution are not written, so a notebook that says the same again is the same to the byte.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_TIMEOUT_S = 600


def main() -> None:
    """Execute every notebook of the folder given as the only argument."""
    if len(sys.argv) != 2:
        sys.exit("error: one argument is needed, the folder of the notebooks\nhint: make notebooks")
    folder = Path(sys.argv[1])
    notebooks = sorted(folder.glob("*.ipynb"))
    if not notebooks:
        sys.exit(f"error: no notebook in {folder}\nhint: their names end in .ipynb")
    for path in notebooks:
        print(f"executing {path}", flush=True)
        execute(path)


def execute(path: Path) -> None:
    """Run one notebook from its own folder with this Python, and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
    except CellExecutionError as error:
        sys.exit(f"error: {path} did not run through\n{error}")
    nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
