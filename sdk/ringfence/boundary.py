"""Let an error out of a public call without what it saw inside.

Promise: an error that reaches a caller carries its message and facts, but no
frame, cause or context through which a row, a key or the store could be
reached; one that a callback, an embedder or an engine raised as well.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

DEBUG_VARIABLE = "RINGFENCE_DEBUG"
"""With `1` errors keep their trace, which leads inside: for who mends Ringfence, not for a running service."""


def public(call: Callable[P, T]) -> Callable[P, T]:
    """Return `call`, its errors stripped of traceback, cause and context."""

    @functools.wraps(call)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        failure: BaseException | None = None
        try:
            return call(*args, **kwargs)
        except BaseException as error:
            if os.environ.get(DEBUG_VARIABLE) == "1":
                raise
            failure = error
        # This frame stays in the trace; what was passed may be documents.
        del args, kwargs
        failure.__cause__ = None
        failure.__context__ = None
        raise failure.with_traceback(None)

    return bounded
