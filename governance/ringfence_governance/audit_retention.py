"""Pack closed segments, and remove old ones so that what proves them stays.

Promise: a segment is removed only when a signed checkpoint covers all of it,
the witness has that checkpoint if there is one, and a later checkpoint says
that it was removed. Who was given what stays: a label may not be lowered
because the log was cut.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from . import audit_segments, durable_files
from .audit_chain import against_parts, chain
from .audit_reading import KEPT, given_in
from .checkpoint_keeper import CheckpointKeeper
from .checkpoints import Part, Removed
from .errors import InvalidInput, StoreBusy


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the segments.

    Args:
        packed: How many were packed.
        removed: How many were removed.
        bytes: What those that are left take.
    """

    packed: int
    removed: int
    bytes: int


def keep(
    root: Path,
    store: str,
    keeper: CheckpointKeeper,
    now: datetime,
    *,
    days: float | None = None,
    bytes_max: int | None = None,
) -> Kept:
    """Pack every closed segment that is signed, then remove what is too old or too much, the oldest first.

    Args:
        days: Remove segments whose last record is older; None removes none for its age.
        bytes_max: Remove the oldest until no more is left; None removes none for its size.

    Raises:
        InvalidInput: A number is below 0.
        StoreBusy: The witness lacks checkpoints: nothing is removed before it has them.
        StoreCorrupt: A segment is not what was signed. It stays.
    """
    for name, value in (("days", days), ("bytes", bytes_max)):
        if value is not None and value < 0:
            raise InvalidInput(f"{name}: found {value!r}; expected 0 or more")
    keeper.checkpoint(sweep=True)
    folder, covered = root / "audit", keeper.covered()
    packed = sum(
        _packed(folder, store, segment, covered.get(segment)) for segment in audit_segments.ids(folder)
    )
    gone = _too_many(folder, covered, now, days, bytes_max)
    if gone:
        if keeper.deliver():
            raise StoreBusy("the witness lacks checkpoints; nothing is removed before it has them")
        _remove(folder, keeper, gone, covered)
    left = [file for file in folder.iterdir() if file.suffix in (audit_segments.LINES, audit_segments.PACKED)]
    return Kept(packed, len(gone), sum(file.stat().st_size for file in left))


def _packed(folder: Path, store: str, segment: str, parts: list[Part] | None) -> bool:
    if parts is None or not (folder / f"{segment}{audit_segments.LINES}").exists():
        return False
    with audit_segments.without_writer(folder, segment) as free:
        if not free:
            return False
        lines = audit_segments.whole_lines(folder, segment).split(b"\n")[:-1]
        found = chain(segment, store, lines)
        # What is not as it was written stays as it is, for who looks into it.
        if found.finding or against_parts(segment, found.digests, parts) or len(lines) != parts[-1].to:
            return False
        audit_segments.pack(folder, segment)
    return True


def _too_many(
    folder: Path, covered: dict[str, list[Part]], now: datetime, days: float | None, bytes_max: int | None
) -> list[str]:
    """Return the packed segments to remove, the oldest first."""
    aged = []
    for file in folder.glob(f"*{audit_segments.PACKED}"):
        last = json.loads(audit_segments.unpacked(file).rstrip(b"\n").rpartition(b"\n")[2])
        if file.stem in covered and last["digest"] == covered[file.stem][-1].last:
            aged.append((last["at"], file.stem, file.stat().st_size))
    aged.sort()
    limit = "" if days is None else (now - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    total = sum(
        file.stat().st_size
        for ending in (audit_segments.LINES, audit_segments.PACKED)
        for file in folder.glob(f"*{ending}")
    )
    gone = []
    for at, segment, size in aged:
        if at < limit or (bytes_max is not None and total > bytes_max):
            gone.append(segment)
            total -= size
    return gone


def _remove(folder: Path, keeper: CheckpointKeeper, gone: list[str], covered: dict[str, list[Part]]) -> None:
    removed = []
    for segment in gone:
        kept = _given(audit_segments.whole_lines(folder, segment))
        file = folder / f"{segment}{KEPT}"
        file.write_bytes(kept)
        file.chmod(0o600)
        durable_files.sync(file)
        last = covered[segment][-1]
        removed.append(Removed(segment, last.to, last.last, hashlib.sha256(kept).hexdigest()))
    durable_files.sync(folder)
    # Said before it is done: killed in between, a segment is still there that need not be.
    keeper.checkpoint(sweep=False, removed=tuple(removed))
    for segment in gone:
        (folder / f"{segment}{audit_segments.PACKED}").unlink()
    durable_files.sync(folder)


def _given(lines: bytes) -> bytes:
    found: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for line in lines.split(b"\n")[:-1]:
        record = json.loads(line)
        found[record["chain"][0]["actor"]].update(given_in(record))
    return json.dumps({person: sorted(given) for person, given in sorted(found.items()) if given}).encode()
