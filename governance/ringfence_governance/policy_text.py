"""Return the policy a directory's files describe, or everything wrong with them, each with file and line.

Promise: the files are read strictly, as the format says, and by nobody else.
A line that is not understood is never skipped, a name never folded, and a file
with one finding gives no policy at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import ringfence_policies

from . import strict_yaml
from .errors import Finding, PolicyRefused
from .labels import NamedLabel
from .labels_text import LABELS_BYTES_MAX, parse_labels_yaml
from .policy_checks import DEPTH_MAX, FINDINGS_MAX, bounded, check_rows
from .policy_model import MODEL_BYTES_MAX, normalised_model, parse_model
from .policy_rows import PolicyRows, Row, from_fields

__all__ = [
    "DEPTH_MAX",
    "FINDINGS_MAX",
    "LABELS_BYTES_MAX",
    "LINE_CHARACTERS_MAX",
    "POLICY_BYTES_MAX",
    "PolicyBundle",
    "check_rows",
    "load_directory",
    "parse_labels_yaml",
    "parse_policy_csv",
    "read_file",
    "read_policy",
    "shipped_default",
]

POLICY_BYTES_MAX = 256 * 1024 * 1024
"""Largest `policy.csv`: two million rows."""

LINE_CHARACTERS_MAX = 4096
"""Longest line of a `policy.csv`; a rule of the longest names needs about 700."""


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """What a policy directory holds.

    Args:
        rows: Of its `policy.csv`.
        labels: Of its `labels.yaml`.
        source: Where it came from, for people.
    """

    rows: PolicyRows
    labels: tuple[NamedLabel, ...]
    source: str


def parse_policy_csv(data: bytes, file: str) -> PolicyRows:
    """Return the rows of a `policy.csv`, in its order.

    Whether the labels it names exist is for :func:`check_rows` or :func:`load_directory`.

    Args:
        data: The file's bytes: UTF-8, fields between commas, `#` begins a comment line, no quotes.
        file: Its name, for the findings.

    Raises:
        PolicyRefused: Anything is malformed. Carries every finding.
    """
    rows, lines, findings = _read_rows(data, file)
    findings += check_rows(rows, None, file, lines=lines, partial=bool(findings))
    if findings:
        raise PolicyRefused(bounded(findings, file))
    return rows


def read_policy(path: Path, known: Collection[str] = ()) -> PolicyBundle:
    """Return the policy of a directory, as :func:`load_directory` does, or of a `policy.csv` alone.

    Args:
        path: The directory or the file.
        known: Names of labels there are already.

    Raises:
        PolicyRefused: As in :func:`load_directory`.
    """
    if not path.is_file():
        return load_directory(path, known)
    rows, lines, findings = _read_rows(read_file(path, POLICY_BYTES_MAX), str(path))
    findings += check_rows(rows, frozenset(known), str(path), lines=lines, partial=bool(findings))
    if findings:
        raise PolicyRefused(bounded(findings, str(path)))
    return PolicyBundle(rows, (), str(path))


def load_directory(directory: Path, known: Collection[str] = ()) -> PolicyBundle:
    """Return the policy of a directory: `policy.csv`, and `labels.yaml` and `model.conf` if they are there.

    Args:
        directory: Where they lie.
        known: Names of labels there are already, which `labels.yaml` need not define.

    Raises:
        PolicyRefused: A file is missing, unreadable or malformed, a row names a label that neither
            `labels.yaml` defines nor is known, or `model.conf` is not the shipped one. Carries every finding.
    """
    findings: list[Finding] = []
    labels: tuple[NamedLabel, ...] = ()
    try:
        labels = _labels_of(directory)
        label_names = frozenset(known).union(label.name for label in labels)
    except PolicyRefused as refused:
        findings += refused.findings
        label_names = None
    findings += _model_findings(directory)
    file = directory / "policy.csv"
    try:
        rows, lines, row_findings = _read_rows(read_file(file, POLICY_BYTES_MAX), str(file))
        row_findings += check_rows(rows, label_names, str(file), lines=lines, partial=bool(row_findings))
        findings += bounded(row_findings, str(file))
    except PolicyRefused as refused:
        raise PolicyRefused((*findings, *refused.findings)) from refused
    if findings:
        raise PolicyRefused(tuple(findings))
    return PolicyBundle(rows, labels, str(directory))


def shipped_default() -> PolicyBundle:
    """Return the default policy: owners read, readers read, denied are denied; no labels."""
    rows = parse_policy_csv(ringfence_policies.default_policy(), "default/policy.csv")
    return PolicyBundle(rows, (), "the shipped default policy")


def read_file(file: Path, bytes_max: int) -> bytes:
    """Return the file's bytes, at most one more than allowed, so that the parser can refuse it by size.

    Raises:
        PolicyRefused: It is not there or cannot be read; one finding.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(bytes_max + 1)
    except OSError as error:
        found = f"no readable file ({error.strerror or type(error).__name__})"
        refusal = Finding(
            str(file),
            1,
            found,
            f"a {file.name}",
            "name the directory that holds the policy's files, or write it there",
        )
        raise PolicyRefused((refusal,)) from error


def _read_rows(data: bytes, file: str) -> tuple[PolicyRows, dict[Row, int], list[Finding]]:
    """Return the well-formed rows, the first line of each, and what is wrong with single lines."""
    rows: list[Row] = []
    lines: dict[Row, int] = {}
    findings: list[Finding] = []
    for number, line in enumerate(strict_yaml.decoded(data, file, POLICY_BYTES_MAX).split("\n"), start=1):
        try:
            row = _row(line.removesuffix("\r"))
        except PolicyRefused as refused:
            findings += [replace(finding, file=file, line=number) for finding in refused.findings]
            if len(findings) > FINDINGS_MAX:
                break
            continue
        if row is None:
            continue
        if row in lines:
            found = f"the row of line {lines[row]} again"
            findings.append(Finding(file, number, found, "each row once", "remove one of them"))
            continue
        lines[row] = number
        rows.append(row)
    return PolicyRows.of(rows), lines, findings


def _row(line: str) -> Row | None:
    """Return the row of a line; None for a comment or a blank one."""
    if len(line) > LINE_CHARACTERS_MAX:
        raise _refused(f"{len(line)} characters", f"at most {LINE_CHARACTERS_MAX} in a line", "split the row")
    if hidden := strict_yaml.hidden_character(line):
        raise _refused(f"the character {hidden}", "characters that can be seen", "remove it")
    text = line.strip(" \t")
    if not text or text.startswith("#"):
        return None
    if '"' in text or "'" in text:
        raise _refused("a quote", "fields without quotes", "no field needs one; remove it")
    if "#" in text:
        raise _refused(
            "'#' after a row", "a comment on a line of its own", "move the comment to its own line"
        )
    return from_fields([field.strip(" \t") for field in text.split(",")])


def _refused(found: str, expected: str, do: str) -> PolicyRefused:
    return PolicyRefused((Finding("<row>", 1, found, expected, do),))


def _labels_of(directory: Path) -> tuple[NamedLabel, ...]:
    file = directory / "labels.yaml"
    if not file.exists():
        return ()
    return parse_labels_yaml(read_file(file, LABELS_BYTES_MAX), str(file))


def _model_findings(directory: Path) -> tuple[Finding, ...]:
    file = directory / "model.conf"
    if not file.exists():
        return ()
    try:
        model = parse_model(read_file(file, MODEL_BYTES_MAX), str(file))
    except PolicyRefused as refused:
        return refused.findings
    if model.text == normalised_model(ringfence_policies.model_text()):
        return ()
    do = "remove the file; what may be done is written in policy.csv"
    return (Finding(str(file), 1, "another model than the shipped one", "the shipped model", do),)
