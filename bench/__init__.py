"""What does governance cost, against the same work on plain LanceDB?

Run `python -m bench` (`make bench`); docs/bench.md has the table and how to read it.
"""

from __future__ import annotations

import os

# Lance logs a line for each search that does not name its score column; it reads this when it is loaded.
os.environ.setdefault("LANCE_LOG", "error")
