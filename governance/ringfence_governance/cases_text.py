"""Return the cases of a policy's `tests.yaml`, or everything wrong with it, each with its line.

Promise: cases are returned only if every one in the file is whole. A case that
is not understood is never skipped, so none passes by being misspelt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import cast

from . import strict_yaml
from .errors import Finding, PolicyRefused
from .identifiers import ACTOR_KINDS
from .labels import NamedLabel
from .labels_text import labels_beneath
from .policy_cases import ASKED, ASKED_OF_POLICY, Answer, Case, PolicyCases
from .policy_checks import bounded
from .policy_text import PolicyBundle, load_directory, read_file
from .row_fields import (
    EFFECTS,
    Problem,
    choice_problem,
    identifier_problem,
    is_policy_object,
    time_problem,
    word_problem,
)
from .strict_yaml import Node
from .subjects import CHAIN_MAX

CASES_FILE = "tests.yaml"

CASES_BYTES_MAX = 8 * 1024 * 1024
"""Largest `tests.yaml`: some fifty thousand cases."""

NEEDED = ("who", "may", "label", "answer")
OPTIONAL = ("via", "at", "purpose")

_KEYS = ("labels", "cases")
_FORM = "write {who, may, label, answer}, and via, at or purpose where they matter"


def load_cases(directory: Path) -> tuple[PolicyBundle, PolicyCases]:
    """Return a directory's policy, and the cases of the `tests.yaml` beside it.

    Raises:
        PolicyRefused: A file is missing, unreadable or malformed. Carries the findings of all files.
    """
    findings: list[Finding] = []
    bundle: PolicyBundle | None = None
    try:
        bundle = load_directory(directory)
    except PolicyRefused as refused:
        findings += refused.findings
    file = directory / CASES_FILE
    try:
        label_names = None if bundle is None else frozenset(label.name for label in bundle.labels)
        cases = parse_cases(read_file(file, CASES_BYTES_MAX), str(file), label_names)
    except PolicyRefused as refused:
        raise PolicyRefused((*findings, *refused.findings)) from refused
    if bundle is None:
        raise PolicyRefused(tuple(findings))
    return bundle, cases


def parse_cases(data: bytes, file: str, label_names: Collection[str] | None) -> PolicyCases:
    """Return the cases of a `tests.yaml`, and the labels it defines for them.

    Args:
        data: The file's bytes.
        file: Its name, for the findings.
        label_names: The labels the policy defines; None where they are not known and not compared.

    Raises:
        PolicyRefused: Anything is malformed. Carries every finding.
    """
    root = strict_yaml.parse(data, file, CASES_BYTES_MAX)
    reading = _Reading(file)
    if not isinstance(root.value, dict):
        reading.finds(root.line, "no mapping", "the key 'cases', and 'labels' if wanted", _FORM)
        raise PolicyRefused(tuple(reading.findings))
    for key in sorted(root.value.keys() - set(_KEYS)):
        do = "remove it, or correct its spelling"
        reading.finds(root.value[key][0], f"key {key!a}", f"some of {', '.join(_KEYS)}", do)
    defined, labels = reading.labels(root.value.get("labels"), label_names or ())
    known = None if label_names is None else defined.union(label_names)
    cases = reading.cases(root.line, root.value.get("cases"), known)
    if reading.findings:
        raise PolicyRefused(bounded(reading.findings, file))
    return PolicyCases(file, cases, labels)


class _Reading:
    """One pass over one file, with all that was found wrong so far."""

    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._lines: dict[tuple[object, ...], int] = {}

    def finds(self, line: int, found: str, expected: str, do: str) -> None:
        self.findings.append(Finding(self._file, line, found, expected, do))

    def labels(
        self, entry: tuple[int, Node] | None, label_names: Collection[str]
    ) -> tuple[frozenset[str], tuple[NamedLabel, ...]]:
        """Return the names the file defines, whole or not, and the labels that are whole."""
        if entry is None:
            return frozenset(), ()
        node = entry[1]
        labels, findings = labels_beneath(node, self._file)
        self.findings += findings
        names = node.value if isinstance(node.value, dict) else {}
        for name in sorted(names.keys() & set(label_names)):
            do = "test the policy's own label, or give this one another name"
            self.finds(names[name][0], f"label {name!a} again", "labels that labels.yaml does not define", do)
        return frozenset(names), labels

    def cases(
        self, line: int, entry: tuple[int, Node] | None, known: Collection[str] | None
    ) -> tuple[Case, ...]:
        nodes = entry[1].value if entry is not None else None
        if not isinstance(nodes, list) or not nodes:
            self.finds(entry[0] if entry else line, "no case", "a list of cases beneath 'cases'", _FORM)
            return ()
        read = [self._case(node, known) for node in nodes]
        return tuple(case for case in read if case is not None)

    def _case(self, node: Node, known: Collection[str] | None) -> Case | None:
        if not isinstance(node.value, dict):
            self.finds(node.line, "a case that is no mapping", f"the keys {', '.join(NEEDED)}", _FORM)
            return None
        before = len(self.findings)
        for key in sorted(node.value.keys() - {*NEEDED, *OPTIONAL}):
            expected = f"some of {', '.join((*NEEDED, *OPTIONAL))}"
            self.finds(node.value[key][0], f"key {key!a}", expected, "remove it, or correct its spelling")
        if missing := [key for key in NEEDED if key not in node.value]:
            self.finds(node.line, f"a case without {', '.join(missing)}", "each of them", _FORM)
        fields = {key: value.plain() for key, (_, value) in node.value.items()}
        for key, problem in _problems(fields, known):
            self.finds(node.value[key][0], *problem)
        if len(self.findings) > before:
            return None
        via = tuple(fields.get("via", ()))
        at, purpose = fields.get("at", ""), fields.get("purpose", "")
        question = (fields["who"], via, fields["may"], fields["label"], at, purpose)
        if (first := self._lines.setdefault(question, node.line)) != node.line:
            found = f"the question of line {first} again"
            self.finds(node.line, found, "each question once", "remove one of the cases")
            return None
        return Case(node.line, *question, cast("Answer", fields["answer"]))


def _problems(fields: dict[str, object], known: Collection[str] | None) -> Iterable[tuple[str, Problem]]:
    """Yield what is wrong with the fields that are there, each under its key."""
    if "who" in fields:
        yield from (("who", problem) for problem in identifier_problem("who", fields["who"], ACTOR_KINDS))
    if "via" in fields:
        yield from (("via", problem) for problem in _via_problems(fields["via"]))
    if "may" in fields:
        yield from (("may", problem) for problem in _action_problems(fields["may"], fields.get("label")))
    if "label" in fields:
        yield from (("label", problem) for problem in _label_problems(fields["label"], known))
    if "at" in fields:
        for found, expected, _ in time_problem("at", fields["at"]):
            yield "at", (found, expected, "leave it out where the time does not matter")
    if "purpose" in fields:
        yield from (("purpose", problem) for problem in word_problem("purpose", fields["purpose"]))
    if "answer" in fields:
        yield from (("answer", problem) for problem in choice_problem("answer", fields["answer"], EFFECTS))


def _via_problems(via: object) -> list[Problem]:
    if not isinstance(via, list) or not via:
        return [(f"via {via!a}", "a list of actors", "leave it out where the person asks himself")]
    problems = [problem for actor in via for problem in identifier_problem("via", actor, ACTOR_KINDS)]
    if len(via) >= CHAIN_MAX:
        found, expected = f"{len(via)} actors in via", f"at most {CHAIN_MAX - 1}"
        problems.append((found, expected, f"a chain has at most {CHAIN_MAX} actors, the person included"))
    return problems


def _action_problems(action: object, label: object) -> list[Problem]:
    if action == "delegate":
        do = "write what the agent does, and the agent in via"
        return [("may 'delegate'", "an action that is asked for", do)]
    malformed = choice_problem("may", action, ASKED)
    if malformed or not is_policy_object(label) or action in ASKED_OF_POLICY:
        return malformed
    do = "write the label the action is about"
    return [(f"may {action!a} of a policy", f"one of {', '.join(sorted(ASKED_OF_POLICY))}", do)]


def _label_problems(label: object, known: Collection[str] | None) -> list[Problem]:
    if is_policy_object(label):
        return []
    if malformed := identifier_problem("label", label, frozenset({"label"})):
        return malformed
    if known is not None and label not in known:
        do = "define it in labels.yaml, or beneath 'labels' for the test alone; or correct the name"
        return [(f"label {label!a}", "a label that is defined", do)]
    return []
