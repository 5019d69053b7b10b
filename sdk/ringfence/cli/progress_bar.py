"""Show how far an ingest is, while it runs, to people at a terminal.

Promise: writes to standard error and only to a terminal; shows counts and no
name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringfence_ingest import progress

Advance = Callable[["progress.Progress"], None]
