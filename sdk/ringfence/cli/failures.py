"""Say what stopped a command: a message, what to do, and the exit code.

Promise: a message written for users is shown as it is; of any other error
only its kind is, since its text may hold what was read.
"""

from __future__ import annotations

from dataclasses import dataclass

import typer

from ringfence_governance.errors import InvalidInput, RingfenceError

DONE = 0

NOT_DONE = 1
"""Refused, or nothing found."""

MISUSE = 2
"""The command line, an id, a label or a policy is malformed: nothing was tried."""


_NOISE = "Value error, "
"""What the option parser puts before its reason for refusing a choice."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a command.

    Args:
        kind: The error's class, or `Usage`, `System`, `Interrupted`, `Unexpected`.
        message: What was found and what was expected; may have several lines.
        hint: What to do; may be empty.
        code: The exit code.
    """

    kind: str
    message: str
    hint: str
    code: int

    def to_mapping(self) -> dict[str, object]:
        """Return the JSON object of an error."""
        return {"error": {"type": self.kind, "message": self.message, "hint": self.hint}}


INTERRUPTED = Failure(
    "Interrupted", "interrupted", "what was published before stays; call it again to go on", 130
)


def failure_of(error: Exception) -> Failure:
    """Return what to tell the user about an error."""
    if isinstance(error, RingfenceError):
        code = MISUSE if isinstance(error, InvalidInput) else NOT_DONE
        return Failure(type(error).__name__, str(error), error.hint, code)
    if isinstance(error, typer.TyperException):
        return _misuse(error)
    if isinstance(error, OSError) and error.strerror:
        return Failure("System", f"the system refused: {error.strerror}", "", NOT_DONE)
    return Failure(
        "Unexpected",
        f"unexpected {type(error).__name__}; nothing of the store is shown",
        "set RINGFENCE_DEBUG=1 to see where; the trace may show what was being read",
        NOT_DONE,
    )


def _misuse(error: typer.TyperException) -> Failure:
    message = error.format_message().rstrip(".").replace(_NOISE, "")
    context = getattr(error, "ctx", None)
    called = context.command_path if context is not None else "ringfence"
    return Failure("Usage", message[:1].lower() + message[1:], f"see '{called} --help'", error.exit_code)
