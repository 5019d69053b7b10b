"""Turn an error of Lance, whose text may hold paths and values, into one that names the table alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from . import bucket
from .errors import StoreError

CONSEQUENCES = {"written": "nothing was published", "cleaned": "older versions may be left"}
"""What it means if something cannot be done; else nothing was read."""


@contextmanager
def named(what: str, done: str) -> Iterator[None]:
    """Name what could not be done instead of what Lance says.

    Args:
        what: A table, as in `the chunks table`.
        done: `opened`, `read`, `written` or `cleaned`.

    Raises:
        StoreError: Whatever Lance or the disk raised.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        consequence = CONSEQUENCES.get(done, "nothing was read")
        raise StoreError(f"{what} cannot be {done} ({_reason(error)}); {consequence}") from None


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if "no space" in text or "os error 28" in text:
        return "no space left on the disk"
    if "permission denied" in text:
        return "permission denied"
    return bucket.reason(error) or type(error).__name__
