"""Make checkpoints as records come, and hand them to the witness.

Promise: making and handing over a checkpoint holds up no read, and a failure
of either loses nothing: it is tried again, and `status` says so. What does
not follow from the checkpoint before is not signed.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import defaultdict
from pathlib import Path

from . import audit_chain, audit_segments, checkpoints, durable_files
from .ambient import Ambient
from .audit_log import AuditLog
from .audit_settings import AuditSettings
from .certificates import public_key
from .checkpoint_file import CheckpointFile, read_line
from .checkpoints import Checkpoint, Part, Removed
from .errors import RingfenceError, StoreCorrupt
from .key_store import KeyStore
from .witnesses import Witness, as_witness, within

CLOSE_TIMEOUT_S = 1.0
"""How long the end of a process waits for a witness; what is not handed over then is by the next one."""
LINES_AT_ONCE = 500


class CheckpointKeeper:
    """The checkpoints of one open store."""

    __slots__ = (
        "__weakref__",
        "_ambient",
        "_closed",
        "_file",
        "_keys",
        "_log",
        "_making",
        "_problem",
        "_process",
        "_read_to",
        "_records",
        "_root",
        "_settings",
        "_sizes",
        "_store_id",
        "_undelivered",
        "_wake",
        "_witness",
    )

    def __init__(
        self,
        root: Path,
        store_id: str,
        keys: KeyStore,
        ambient: Ambient,
        log: AuditLog,
        settings: AuditSettings,
    ) -> None:
        self._root = root
        self._store_id = store_id
        self._keys = keys
        self._ambient = ambient
        self._log = log
        self._settings = settings
        self._witness = as_witness(settings.witness)
        self._file = CheckpointFile(root)
        self._read_to = self._file.size()
        self._sizes: dict[str, int] = {}
        self._making = threading.Lock()
        self._wake = threading.Event()
        self._process = 0
        self._records = 0
        self._problem = ""
        self._undelivered = ""
        self._closed = False
        log.on_durable = self._note

    def __repr__(self) -> str:
        return "CheckpointKeeper(…)"

    def __reduce__(self) -> str:
        raise TypeError("a keeper of checkpoints cannot be pickled")

    @property
    def file(self) -> CheckpointFile:
        """Where the checkpoints are."""
        return self._file

    @property
    def witness(self) -> Witness | None:
        """Where checkpoints go; None for nowhere."""
        return self._witness

    @property
    def public_key(self) -> str:
        """The public half of the key that signs, 64 hexadecimal digits."""
        return public_key(checkpoints.signing_key(self._keys))

    def checkpoint(self, *, sweep: bool, removed: tuple[Removed, ...] = ()) -> Checkpoint | None:
        """Sign what no checkpoint covers yet; return the newest checkpoint, None if there is none.

        Args:
            sweep: Whether to cover what other processes wrote too, from the disk.
            removed: Segments that are about to be removed.

        Raises:
            StoreCorrupt: What stands is not what was signed; nothing is signed on top of it.
            OSError: The disk did not take it. What it would cover is covered by the next one.
        """
        with self._making, self._file.locked():
            before = self._file.last()
            key = checkpoints.signing_key(self._keys)
            if before is not None and not before.is_genuine(public_key(key)):
                raise StoreCorrupt("the newest checkpoint is not one this store's key signed")
            self._note_others()
            self._records = 0
            parts = [
                checkpoints.part(segment.segment_id, start, digests)
                for segment in self._log.own()
                for start, digests in [self._log.uncovered(segment)]
                if digests
            ]
            if sweep:
                parts += self._others({part.segment for part in parts})
            if not parts and not removed:
                return before
            made = checkpoints.following(
                before, key, self._store_id, self._ambient.now_precise(), parts, removed
            )
            self._file.append(made)
            self._note_others()
            return made

    def deliver(self, timeout_s: float | None = None) -> int:
        """Hand the witness what it has not confirmed; return how many checkpoints it still lacks.

        Raises:
            WitnessUnavailable: It did not confirm; they are handed over at the next attempt.
        """
        witness = self._witness
        if witness is None:
            return 0
        if timeout_s is not None:
            witness = within(witness, timeout_s)
        where = witness.name
        with self._file.locked("sending", wait=False) as mine:
            if mine:
                lines, _ = self._file.lines()
                done = self._file.delivered(where)
                # A file that is shorter than what was handed over was set back: the witness is to see that.
                done = done if done <= len(lines) else 0
                for start in range(done, len(lines), LINES_AT_ONCE):
                    batch = lines[start : start + LINES_AT_ONCE]
                    witness.publish(batch)
                    self._file.note_delivered(where, start + len(batch))
        self._undelivered = ""
        return self.waiting()

    def waiting(self) -> int:
        """Return how many checkpoints the witness has not confirmed; 0 without a witness."""
        if self._witness is None:
            return 0
        return max(0, len(self._file.lines()[0]) - self._file.delivered(self._witness.name))

    def status(self) -> dict[str, object]:
        """Return how far the log is signed and witnessed, and what went wrong at the last attempt."""
        last = self._file.last()
        return {
            "checkpoints": 0 if last is None else last.number,
            "signed_records": 0 if last is None else last.records,
            "witness": "" if self._witness is None else self._witness.name,
            "waiting_for_witness": self.waiting(),
            "problem": self._problem or self._undelivered,
        }

    def tend(self, timeout_s: float | None = None, *, sweep: bool = True) -> None:
        """Make a checkpoint if there is something to cover, and hand over what waits; `status` says what failed."""
        try:
            self.checkpoint(sweep=sweep)
            self._problem = ""
        except (OSError, RingfenceError) as error:
            self._problem = _said(error)
        try:
            self.deliver(timeout_s)
        except (OSError, RingfenceError) as error:
            self._undelivered = _said(error)

    def close(self) -> None:
        """Make the last checkpoint of this process, and hand it over if the witness answers soon."""
        self._closed = True
        self._wake.set()
        if self._process == os.getpid():
            self.tend(CLOSE_TIMEOUT_S, sweep=False)

    def covered(self) -> dict[str, list[Part]]:
        """Return what all checkpoints say of each segment."""
        found: dict[str, list[Part]] = defaultdict(list)
        for line in self._file.lines()[0]:
            for part in read_line(line).parts:
                found[part.segment].append(part)
        return found

    def _note(self) -> None:
        """Count a record; begin the thread that makes checkpoints, and wake it when there are many."""
        self._records += 1
        if self._process != os.getpid():
            self._process = os.getpid()
            self._wake = threading.Event()
            weakref.finalize(self, self._wake.set)
            threading.Thread(
                target=_keep,
                args=(weakref.ref(self), self._wake, self._settings.checkpoint_seconds),
                name="ringfence-checkpoints",
                daemon=True,
            ).start()
        if self._records >= self._settings.checkpoint_records:
            self._wake.set()

    def _note_others(self) -> None:
        """Learn what other processes covered since the last look."""
        lines, self._read_to = self._file.lines(min(self._read_to, self._file.size()))
        for line in lines:
            for part in read_line(line).parts:
                self._log.cover(part.segment, part.to)

    def _others(self, own: set[str]) -> list[Part]:
        folder = self._root / "audit"
        covered = {segment: parts[-1] for segment, parts in self.covered().items()}
        made, faults = [], []
        for segment in audit_segments.ids(folder):
            size = audit_segments.size(folder, segment)
            if segment in own or self._sizes.get(segment) == size:
                continue
            part, fault = self._other(folder, segment, covered.get(segment))
            made += [part] if part is not None else []
            faults += [fault] if fault else []
            if not fault:
                self._sizes[segment] = size
        if faults and not made:
            raise StoreCorrupt(f"audit segment {faults[0]}; nothing is signed on top of it")
        return made

    def _other(self, folder: Path, segment: str, last: Part | None) -> tuple[Part | None, str]:
        lines_file = folder / f"{segment}{audit_segments.LINES}"
        try:
            lines = audit_segments.whole_lines(folder, segment).split(b"\n")[:-1]
            if lines_file.exists():
                # Signed means durable: its writer may not have come to that yet.
                durable_files.sync(lines_file)
        except FileNotFoundError:
            return None, ""
        except StoreCorrupt as error:
            return None, f"{segment}: {error}"
        after, previous = (0, "") if last is None else (last.to, last.last)
        if len(lines) < after:
            return None, f"{segment} ends before record {after}"
        chain = audit_chain.chain(segment, self._store_id, lines[after:], after, previous)
        if chain.finding is not None:
            return None, f"{segment}, record {chain.finding.number}: {chain.finding.found}"
        return (checkpoints.part(segment, after, chain.digests) if chain.digests else None), ""


def _keep(keeper: weakref.ReferenceType[CheckpointKeeper], wake: threading.Event, seconds: float) -> None:
    while True:
        wake.wait(seconds)
        wake.clear()
        found = keeper()
        if found is None or found._closed:
            return
        if found._records or found._undelivered or found._problem:
            found.tend()
        del found


def _said(error: OSError | RingfenceError) -> str:
    return str(error) if isinstance(error, RingfenceError) else (error.strerror or type(error).__name__)
