"""Find out whether a store's audit log is what it was: all of it, in order, unchanged.

Promise: what a checkpoint covers and is not as it was is found, and the first
bad record is named; what cannot be known from what was given is said, never
passed over. Needs the files and the public key alone.

Source: DESIGN.md §8.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import audit_segments, merkle
from .audit_chain import Finding, against_parts, chain
from .audit_reading import KEPT
from .checkpoint_file import CheckpointFile
from .checkpoints import FIRST_PREVIOUS, Checkpoint, Part, Removed, parsed
from .errors import InvalidInput, StoreCorrupt, StoreError

PUBLIC_CHARACTERS = 64

FINDINGS_MAX = 100
"""How many are told; the report says how many there are."""
NO_WITNESS = (
    "no witness was asked: a whole older copy of the store, with its checkpoints, would look the same"
)
EMPTY_WITNESS = (
    "the witness holds no checkpoint of this store: a whole older copy of it, or one without checkpoints, would "
    "look the same"
)
NO_CATALOG = "the catalog was not asked: a segment that no checkpoint covers may be missing"


@dataclass(slots=True)
class Report:
    """What verifying found.

    Args:
        records: How many records were read and are as they were written.
        signed: How many of them a checkpoint covers.
        checkpoint: Number of the newest checkpoint; 0 if there is none.
        witnessed: Number of the newest one that the witness holds; 0 if none.
        removed: How many records were removed with their segments, for their age; their proofs stay.
        unknown: Sentences that say what could not be known.
    """

    records: int = 0
    signed: int = 0
    checkpoint: int = 0
    witnessed: int = 0
    removed: int = 0
    findings: list[Finding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_mapping(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "valid": self.valid,
            "records": self.records,
            "signed": self.signed,
            "checkpoint": self.checkpoint,
            "witnessed": self.witnessed,
            "removed": self.removed,
            "findings": [each.to_mapping() for each in self.findings[:FINDINGS_MAX]],
            "findings_count": len(self.findings),
            "unknown": list(self.unknown),
        }


def verify(
    root: Path,
    store: str,
    public: str,
    *,
    registered: Iterable[str] | None = None,
    witnessed: Sequence[bytes] | None = None,
) -> Report:
    """Verify a store's log.

    Args:
        root: The store's folder.
        store: Its id.
        public: The public half of the key that signs its checkpoints, from a place its writer cannot change.
        registered: Ids of the segments the catalog knows; None if it is not asked.
        witnessed: The lines a witness holds; None if none is asked.
    """
    report = Report()
    # Checkpoints first: what is written meanwhile only adds to the segments.
    lines, _ = CheckpointFile(root).lines()
    known = _checkpoints(lines, store, public, report)
    if witnessed is None:
        report.unknown.append(NO_WITNESS)
    else:
        known = _against_witness(known, witnessed, store, public, report)
    parts: dict[str, list[Part]] = defaultdict(list)
    removed: dict[str, Removed] = {}
    for each in known:
        for part in each.parts:
            parts[part.segment].append(part)
        removed |= {gone.segment: gone for gone in each.removed}
    report.checkpoint = known[-1].number if known else 0
    _segments(root / "audit", store, parts, removed, registered, report)
    return report


def verify_files(root: Path, public: str, *, witnessed: Sequence[bytes] | None = None) -> Report:
    """Verify a store's log from its files alone, for who holds them and the public key, and not the keys.

    Raises:
        InvalidInput: The public key is none.
        StoreError: There is no store.
    """
    return verify(root, store_of(root), checked_public_key(public), witnessed=witnessed)


def checked_public_key(public: str) -> str:
    """Return the text if it can be the public half of a key that signs a log.

    Raises:
        InvalidInput: It is no such text.
    """
    if len(public) == PUBLIC_CHARACTERS and set(public) <= set("0123456789abcdef"):
        return public
    raise InvalidInput(
        f"public key: found {public!r}; expected {PUBLIC_CHARACTERS} hexadecimal digits, lower case",
        hint="'ringfence audit checkpoint' tells it",
    )


def store_of(root: Path) -> str:
    """Return the id of the store in a folder.

    Raises:
        StoreError: There is none.
    """
    try:
        found = json.loads((root / "store.json").read_text("utf-8"))["store"]
    except (OSError, ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, str):
        raise StoreError("store: found none here; expected a folder made by 'ringfence init'")
    return found


def _checkpoints(lines: Sequence[bytes], store: str, public: str, report: Report) -> list[Checkpoint]:
    """Return the checkpoints up to the first that does not hold."""
    known: list[Checkpoint] = []
    peaks: list[bytes] = []
    covered: dict[str, Part] = {}
    for number, line in enumerate(lines, start=1):
        fault, found = "", None
        try:
            found = parsed(line)
        except ValueError as error:
            fault = str(error)
        if found is not None:
            fault = _checkpoint_fault(found, known, store, public, covered)
            count = known[-1].count if known else 0
            peaks = merkle.peaks([part.leaf() for part in found.parts], peaks, count)
            if not fault and (
                found.root != merkle.root_of_peaks(peaks).hex()
                or found.peaks != tuple(peak.hex() for peak in peaks)
            ):
                fault = "a checkpoint whose root is not that of its parts"
        if fault or found is None:
            report.findings.append(Finding("checkpoint", "", number, fault))
            return known
        covered |= {part.segment: part for part in found.parts}
        known.append(found)
    return known


def _checkpoint_fault(
    found: Checkpoint, known: Sequence[Checkpoint], store: str, public: str, covered: dict[str, Part]
) -> str:
    before = known[-1] if known else None
    if not found.is_genuine(public):
        return "a checkpoint that the store's key did not sign"
    if found.store != store:
        return "a checkpoint of another store"
    if found.number != len(known) + 1:
        return f"checkpoint {found.number}; expected {len(known) + 1}"
    if found.previous != (before.digest() if before else FIRST_PREVIOUS):
        return "a checkpoint that does not follow the one before it"
    if found.count != (before.count if before else 0) + len(found.parts):
        return "a checkpoint that counts other parts than it has"
    for part in found.parts:
        last = covered.get(part.segment)
        if part.after != (last.to if last else 0) or part.to <= part.after:
            return f"a checkpoint whose part of segment {part.segment} does not follow the one before it"
    return ""


def _against_witness(
    known: list[Checkpoint], lines: Sequence[bytes], store: str, public: str, report: Report
) -> list[Checkpoint]:
    """Hold the store's checkpoints to those a witness holds; return them with what only the witness has."""
    held: dict[int, Checkpoint] = {}
    strange = 0
    for line in dict.fromkeys(lines):
        try:
            found = parsed(line)
        except ValueError:
            strange += 1
            continue
        if found.store != store:
            continue
        if not found.is_genuine(public):
            strange += 1
            continue
        if found.number in held:
            report.findings.append(
                Finding("forked", "", found.number, "the witness holds two checkpoints of this number")
            )
        held.setdefault(found.number, found)
    if strange:
        report.unknown.append(f"the witness holds {strange} lines that are no checkpoint the key signed")
    for each in known:
        if each.number in held and held[each.number] != each:
            said = "the witness holds another checkpoint of this number"
            report.findings.append(Finding("forked", "", each.number, said))
            return _following(known, held, each.number)
        report.witnessed = each.number if each.number in held else report.witnessed
    end = known[-1].number if known else 0
    if held and max(held) > end:
        said = f"the store's checkpoints end at {end}; the witness holds {max(held)}"
        report.findings.append(Finding("rolled back", "", end + 1, said))
        report.witnessed = max(held)
        return _following(known, held, end + 1)
    if not held:
        # One that was emptied, or is another store's, says no more than none.
        report.unknown.append(EMPTY_WITNESS)
    elif known and report.witnessed < known[-1].number:
        report.unknown.append(
            f"the witness does not hold the checkpoints after {report.witnessed}: what only they cover, an older "
            "copy would hide"
        )
    return known


def _following(known: list[Checkpoint], held: dict[int, Checkpoint], number: int) -> list[Checkpoint]:
    """Return the store's checkpoints before a number and the witness's from there on."""
    return [*known[: number - 1], *(held[each] for each in sorted(held) if each >= number)]


def _segments(
    folder: Path,
    store: str,
    parts: dict[str, list[Part]],
    removed: dict[str, Removed],
    registered: Iterable[str] | None,
    report: Report,
) -> None:
    there = audit_segments.ids(folder)
    unsigned = 0
    for segment in there:
        unsigned += _segment(folder, segment, store, parts.get(segment, []), report)
    for segment in sorted(set(parts) - set(there)):
        if segment in removed:
            report.removed += removed[segment].records
            _removed(folder, removed[segment], parts[segment], report)
        else:
            lost = f"the segment is not there; a checkpoint covers {parts[segment][-1].to} records of it"
            report.findings.append(Finding("missing", segment, 1, lost))
    if registered is None:
        report.unknown.append(NO_CATALOG)
    else:
        known = set(registered)
        for segment in sorted(known - set(there) - set(parts)):
            report.findings.append(
                Finding("missing", segment, 1, "the catalog knows the segment; it is not there")
            )
        for segment in sorted(set(there) - known):
            report.findings.append(
                Finding("unregistered", segment, 0, "the catalog does not know this segment")
            )
    if unsigned:
        report.unknown.append(
            f"{unsigned} records are newer than the newest checkpoint: chained, and not signed yet"
        )


def _segment(folder: Path, segment: str, store: str, parts: Sequence[Part], report: Report) -> int:
    """Verify one segment; return how many of its records no checkpoint covers."""
    try:
        lines = audit_segments.whole_lines(folder, segment).split(b"\n")[:-1]
        _refuse_two(folder, segment)
    except FileNotFoundError:
        report.findings.append(Finding("missing", segment, 1, "the segment went while it was verified"))
        return 0
    except StoreCorrupt as error:
        report.findings.append(Finding("damaged", segment, 0, str(error)))
        return 0
    found = chain(segment, store, lines)
    report.records += len(found.digests)
    covered = parts[-1].to if parts else 0
    report.signed += min(covered, len(found.digests))
    if found.backwards:
        report.unknown.append(
            f"segment {segment}: the clock went backwards at {len(found.backwards)} records, first at record "
            f"{found.backwards[0]}; order is by number"
        )
    # A chain that breaks before what was signed ends is the finding; what the checkpoints miss follows from it.
    finding = found.finding or against_parts(segment, found.digests, parts)
    if finding is not None:
        report.findings.append(finding)
    return max(0, len(found.digests) - covered)


def _refuse_two(folder: Path, segment: str) -> None:
    packed = folder / f"{segment}{audit_segments.PACKED}"
    if not (packed.exists() and (folder / f"{segment}{audit_segments.LINES}").exists()):
        return
    if audit_segments.unpacked(packed) != audit_segments.whole_lines(folder, segment):
        raise StoreCorrupt(f"audit segment {segment}: found as lines and packed, and they differ")


def _removed(folder: Path, gone: Removed, parts: Sequence[Part], report: Report) -> None:
    kept = folder / f"{gone.segment}{KEPT}"
    if gone.records != parts[-1].to or gone.last != parts[-1].last:
        said = "it was removed as another than the checkpoints cover"
    elif not kept.exists() or hashlib.sha256(kept.read_bytes()).hexdigest() != gone.kept_sha256:
        said = "it was removed, and what was kept of it is not what was signed"
    else:
        return
    report.findings.append(Finding("missing", gone.segment, 1, said))
