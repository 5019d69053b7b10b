"""Write constraints.txt from the environment that runs this script.

Promise: the file holds the exact version of everything installed here, save the project itself, pip and
torch. torch is chosen by tools/prepare_venv.py, because its build depends on the machine.
"""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

LEFT_OUT = {"pip", "ringfence", "torch"}
HEADER = """\
# The versions the tests ran with; make installs these (make CONSTRAINTS= takes the newest allowed ones).
# Written by: make CONSTRAINTS= venv && .venv/bin/python tools/freeze_constraints.py
"""


def main() -> None:
    """Write the file at the root of the repository."""
    versions = {re.sub(r"[-_.]+", "-", found.name).lower(): found.version for found in distributions()}
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items()) if name not in LEFT_OUT]
    target = Path(__file__).resolve().parents[1] / "constraints.txt"
    target.write_text(HEADER + "".join(lines), "utf-8")
    print(f"{target.name}: {len(lines)} versions")


if __name__ == "__main__":
    main()
