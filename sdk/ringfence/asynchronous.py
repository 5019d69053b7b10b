"""What one subject may do in a store, for a service that runs an event loop.

Promise: each call is that of the :class:`Reader`, carried out by one of a
bounded number of threads; nothing is decided or kept here. A task that is
cancelled ends its search, and what was found leaves to nobody.

Source: docs/decisions/0022-time-limits.md.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from ringfence_governance.errors import InvalidInput
from ringfence_governance.stopping import CancelToken

from .boundary import DEBUG_VARIABLE
from .reader import Reader

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
"""How many calls of this process run at once; others wait for their turn, and can be cancelled while they do."""


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "ringfence")


# A child process has none of its parent's threads.
os.register_at_fork(after_in_child=_pool.cache_clear)


def _awaited(
    verb: Callable[Concatenate[Reader, P], T],
) -> Callable[Concatenate[AsyncReader, P], Coroutine[Any, Any, T]]:
    """Return a verb as a coroutine; what can be cancelled is, with the task that waits for it."""
    cancellable = "cancel" in inspect.signature(verb).parameters

    async def call(self: AsyncReader, /, *args: P.args, **kwargs: P.kwargs) -> T:
        token, failure = CancelToken(), BaseException()
        try:
            if cancellable:
                token = CancelToken(kwargs.get("cancel"))  # type: ignore[arg-type]
                kwargs["cancel"] = token
            return await asyncio.get_running_loop().run_in_executor(
                _pool(), functools.partial(verb, self.reader, *args, **kwargs)
            )
        except BaseException as error:
            # The task's own end is among them: then nobody waits for the thread any more.
            token.cancel()
            if os.environ.get(DEBUG_VARIABLE) == "1":
                raise
            failure = error
        # As at the boundary of every call: what was passed may be documents.
        del args, kwargs
        failure.__cause__ = None
        failure.__context__ = None
        raise failure.with_traceback(None)

    functools.update_wrapper(call, verb)
    return call


class AsyncReader:
    """The verbs of one :class:`Reader` as coroutines, with the same arguments, for a service that runs an event loop.

    Cancelling the task of a `search`, `search_many` or `context` ends it soon, as its `cancel=` would. Of any
    other call nobody waits any more, and it goes on to its end: a change is made whole, or not at all.

    Args:
        reader: Whose verbs, as :meth:`Store.as_user` gives it.

    Raises:
        InvalidInput: It is none.
    """

    __slots__ = ("__weakref__", "_reader")

    def __init__(self, reader: Reader) -> None:
        if not isinstance(reader, Reader):
            raise InvalidInput(
                f"reader: found {type(reader).__name__}; expected a Reader, as `as_user` gives it"
            )
        self._reader = reader

    def __repr__(self) -> str:
        return f"Async{self._reader!r}"

    def __reduce__(self) -> str:
        raise TypeError("a reader cannot be pickled; open the store again where it is needed")

    @property
    def reader(self) -> Reader:
        """The same, for calls that wait."""
        return self._reader

    search = _awaited(Reader.search)
    search_many = _awaited(Reader.search_many)
    context = _awaited(Reader.context)
    add_member = _awaited(Reader.add_member)
    apply_policy = _awaited(Reader.apply_policy)
    audit_database = _awaited(Reader.audit_database)
    calibrate = _awaited(Reader.calibrate)
    compact = _awaited(Reader.compact)
    count = _awaited(Reader.count)
    define_label = _awaited(Reader.define_label)
    diff_policy = _awaited(Reader.diff_policy)
    erase = _awaited(Reader.erase)
    expire_label = _awaited(Reader.expire_label)
    flush_lineage = _awaited(Reader.flush_lineage)
    grant = _awaited(Reader.grant)
    keep_log = _awaited(Reader.keep_log)
    keys_status = _awaited(Reader.keys_status)
    label_history = _awaited(Reader.label_history)
    labels = _awaited(Reader.labels)
    lineage = _awaited(Reader.lineage)
    list = _awaited(Reader.list)
    log = _awaited(Reader.log)
    policy = _awaited(Reader.policy)
    prewarm = _awaited(Reader.prewarm)
    prove_record = _awaited(Reader.prove_record)
    redefine_label = _awaited(Reader.redefine_label)
    register_answer = _awaited(Reader.register_answer)
    relabel = _awaited(Reader.relabel)
    remove_member = _awaited(Reader.remove_member)
    revoke = _awaited(Reader.revoke)
    rotate_keys = _awaited(Reader.rotate_keys)
    sign_log = _awaited(Reader.sign_log)
    status = _awaited(Reader.status)
    text = _awaited(Reader.text)
    verify_erasure = _awaited(Reader.verify_erasure)
    verify_log = _awaited(Reader.verify_log)
    what = _awaited(Reader.what)
    what_for = _awaited(Reader.what_for)
    who = _awaited(Reader.who)
    why = _awaited(Reader.why)
    why_for = _awaited(Reader.why_for)
