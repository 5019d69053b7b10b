"""How the audit log is kept: when a segment ends, when a checkpoint is made, who witnesses it.

Promise: nothing here makes the log weaker. A record is always durable before
its result leaves; there is no setting for that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from .errors import InvalidInput
from .witnesses import WitnessLike

WITNESS_VARIABLE = "RINGFENCE_WITNESS"
"""Where checkpoints go if the one who opens the store says nothing."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How one open store keeps its log.

    Args:
        witness: A file's path, an `http://` or `https://` address, or a :class:`Witness`; empty for none.
        segment_bytes: A segment of so many bytes is followed by a new one.
        segment_seconds: So is one of this age.
        checkpoint_records: After so many records of this process a checkpoint is made.
        checkpoint_seconds: So long after a record at the latest.
    """

    witness: WitnessLike = ""
    segment_bytes: int = 64 << 20
    segment_seconds: float = 86_400
    checkpoint_records: int = 10_000
    checkpoint_seconds: float = 60

    def __post_init__(self) -> None:
        for name in ("segment_bytes", "segment_seconds", "checkpoint_records", "checkpoint_seconds"):
            if (value := getattr(self, name)) <= 0:
                raise InvalidInput(f"{name}: found {value!r}; expected a number above 0")


def settings(witness: WitnessLike | None) -> AuditSettings:
    """Return the settings for a witness; None asks the environment, an empty text is none."""
    return AuditSettings(os.environ.get(WITNESS_VARIABLE, "") if witness is None else witness)
