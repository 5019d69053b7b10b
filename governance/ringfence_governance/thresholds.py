"""What was measured of the machines a store runs on: up to how many rows it is quicker to score each outright.

Promise: it decides how a question is answered and never what the answer is. It
lies sealed in the catalog: who can write the files can lose it and make no other.

Source: docs/decisions/0023-calibrated-thresholds.md.
"""

from __future__ import annotations

import base64
import json

from sqlalchemy import Connection

from .catalog import Catalog
from .errors import StoreCorrupt

SETTING = "thresholds"
"""Of the catalog, and the kind of its entry that sets it."""
CHOICES = (128, 256, 512, 1024, 2048, 4096, 8192, 16_384)
"""What it can be; between two of them nothing is won."""


def load(catalog: Catalog, connection: Connection) -> int | None:
    """Return up to how many rows each is scored outright, as it was measured; None if it never was.

    Raises:
        StoreCorrupt: What lies there was not sealed by this store, or is none.
    """
    kept = catalog.meta(connection, SETTING)
    if kept is None:
        return None
    try:
        found = json.loads(catalog.open(base64.b64decode(kept, validate=True), SETTING))
    except ValueError as error:
        raise StoreCorrupt("the catalog was changed: its thresholds are none") from error
    if type(found) is not int or found not in CHOICES:
        raise StoreCorrupt("the catalog was changed: its thresholds are none")
    return found


def keep(catalog: Catalog, connection: Connection, every_row_max: int) -> None:
    """Keep what was measured; in force from the next question on."""
    if every_row_max not in CHOICES:
        raise ValueError(f"every_row_max: found {every_row_max!r}; expected one of {CHOICES}")
    sealed = catalog.seal(json.dumps(every_row_max).encode(), SETTING)
    catalog.put_meta(connection, SETTING, base64.b64encode(sealed).decode())
    catalog.next_entry(connection, SETTING)
