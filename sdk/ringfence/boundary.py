"""Let an error out of a public call without what it saw inside.

Promise: an error that reaches a caller carries its message and facts, but no
frame, cause or context through which a row, a key or the store could be
reached.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ringfence_governance.errors import RingfenceError

P = ParamSpec("P")
T = TypeVar("T")


def public(call: Callable[P, T]) -> Callable[P, T]:
    """Return `call`, its errors stripped of traceback, cause and context."""

    @functools.wraps(call)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> T:
        failure: RingfenceError | None = None
        try:
            return call(*args, **kwargs)
        except RingfenceError as error:
            failure = error
        failure.__cause__ = None
        failure.__context__ = None
        raise failure.with_traceback(None)

    return bounded
