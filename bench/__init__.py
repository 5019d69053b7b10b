"""What does governance cost, against the same work on plain LanceDB?

Run `python -m bench` (`make bench`); docs/bench.md has the table and how to read it. What authority costs:
`python -m bench.authority`.
"""

from __future__ import annotations

import os

# LanceDB and Lance log a line for each search that does not name its score column; each reads its own
# variable when it is loaded.
for _name in ("LANCEDB_LOG", "LANCE_LOG"):
    os.environ.setdefault(_name, "error")
