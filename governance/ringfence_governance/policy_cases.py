"""Ask a policy each question its tests hold, in every way there is to ask, and compare the answers.

Promise: a case passes only if every way gives the answer it expects. Ways that
differ, and an error while deciding, are failures whatever was expected. Nothing
here reads a file, a store or a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from . import authority, listings
from .atom_sets import AtomSet
from .decisions import Request
from .explanation import Verdict, verdict
from .identifiers import tenant_of
from .label_table import LabelTable
from .labels import LabelEntry, NamedLabel
from .listings import Readers
from .policy_rows import Rule
from .policy_text import PolicyBundle
from .row_fields import ACTIONS, is_policy_object
from .snapshot import Snapshot
from .subjects import Subject

ASKED = ACTIONS - {"delegate"}
"""What a case may ask for; `delegate` only says what an agent may carry."""

ASKED_OF_POLICY = frozenset({"administer", "audit"})
"""What a case may ask for on `tenant/policy`."""

Answer = Literal["allow", "deny"]

Failure = Literal["answer", "disagreement", "error"]
"""Another answer than expected; ways that give different ones; an error while deciding."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a policy, and the answer it must give.

    Args:
        line: Where it stands, from 1.
        who: A user, agent or service.
        via: The actors that carry the request, nearest to the person first.
        may: The action, one of :data:`ASKED`.
        label: A label's name; or `tenant/policy`, for an action of :data:`ASKED_OF_POLICY`.
        at: UTC; empty for the time the run is given.
        purpose: One word; empty for none.
        answer: The expected one.
    """

    line: int
    who: str
    via: tuple[str, ...]
    may: str
    label: str
    at: str
    purpose: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class PolicyCases:
    """What a `tests.yaml` holds.

    Args:
        file: Its name, for people.
        cases: In its order.
        labels: Those it defines for the test alone.
    """

    file: str
    cases: tuple[Case, ...]
    labels: tuple[NamedLabel, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a policy answered to one case.

    Args:
        case: The question.
        at: The time it was asked for, UTC.
        ways: The answer of each way that has one. `check` decides; `why` is made of the rules that matched;
            `readable` is the set of labels, `what` its listing; `who` lists the actors of the label. A label
            has all five; `who` is silent on chains, and on a purpose of somebody who needs none. The policy
            itself has `check` and `why`.
        failure: None if the case passes.
        reasons: For a failed case what was decided of each actor, with every rule that matched.
    """

    case: Case
    at: str
    ways: Mapping[str, Answer]
    failure: Failure | None
    reasons: tuple[Verdict, ...]

    @property
    def found(self) -> Answer:
        """The policy's answer: that of `check`."""
        return self.ways["check"]

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values."""
        case = self.case
        return {
            "line": case.line,
            "who": case.who,
            "via": list(case.via),
            "may": case.may,
            "label": case.label,
            "at": self.at,
            "purpose": case.purpose,
            "expected": case.answer,
            "found": self.found,
            "failure": self.failure,
            "ways": dict(self.ways),
            "reasons": [reason.to_mapping() for reason in self.reasons],
        }


@dataclass(frozen=True, slots=True)
class CaseResults:
    """What a policy answered to its cases.

    Args:
        results: In the order of the cases.
        untested: The rules on which no case turns: each could be taken out of the rules that matched, and every
            answer would stay. In the policy's order.
    """

    results: tuple[CaseResult, ...]
    untested: tuple[Rule, ...]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The results of the cases that do not pass."""
        return tuple(result for result in self.results if result.failure is not None)


def run_cases(bundle: PolicyBundle, cases: PolicyCases, now: str) -> CaseResults:
    """Ask the policy every case, and compare.

    Args:
        bundle: The policy and its labels.
        cases: Its tests, as :func:`cases_text.load_cases` returns them.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`; the time of the cases that name none.

    Raises:
        PolicyRefused: The rows cannot be a policy.
        KeyError: A case names a label that neither defines; a file with such a case is not read.
    """
    policy = _Asked(bundle, cases)
    results: list[CaseResult] = []
    tested: set[Rule] = set()
    for case in cases.cases:
        at = case.at or now
        verdicts = policy.verdicts(case, at)
        tested |= _decisive(verdicts)
        ways = {way: _answer(said) for way, said in policy.ways(case, at, verdicts)}
        failure = _failure(case, ways, verdicts)
        results.append(CaseResult(case, at, ways, failure, verdicts if failure else ()))
    return CaseResults(tuple(results), tuple(rule for rule in bundle.rows.rules if rule not in tested))


class _Asked:
    """One policy with its labels, asked in every way; what several cases ask alike is asked once."""

    def __init__(self, bundle: PolicyBundle, cases: PolicyCases) -> None:
        self._snapshot = Snapshot.build(bundle.rows)
        labels = enumerate((*bundle.labels, *cases.labels), start=1)
        entries = {atom: LabelEntry(atom, label.name, label.definition) for atom, label in labels}
        self._table = LabelTable(1, entries)
        self._readable = cache(self._ask_readable)
        self._what = cache(self._ask_what)
        self._who = cache(self._ask_who)

    def verdicts(self, case: Case, at: str) -> tuple[Verdict, ...]:
        """Return what is decided of each actor, and every rule that matched."""
        snapshot, subject = self._snapshot, _subject(case)
        if is_policy_object(case.label):
            chain = enumerate(subject.chain)
            requests = [_of_policy(case, actor, at, carried=place > 0) for place, actor in chain]
            return tuple(verdict(snapshot, request) for request in requests)
        entry = self._table.by_id[case.label]
        return authority.explain(snapshot, self._table, subject, entry, action=case.may, now=at).verdicts

    def ways(self, case: Case, at: str, verdicts: Sequence[Verdict]) -> Iterator[tuple[str, bool]]:
        """Yield each way that has something to say to the question, and what it says."""
        snapshot, subject = self._snapshot, _subject(case)
        if is_policy_object(case.label):
            tenant = tenant_of(case.label)
            yield "check", authority.allowed_on_policy(snapshot, subject, tenant, case.may, at)
        else:
            entry = self._table.by_id[case.label]
            yield "check", authority.allowed(snapshot, subject, entry, self._table, case.may, at)
            yield "readable", entry.atom in self._readable(subject, case.may, at)
            yield "what", case.label in self._what(subject, case.may, at)
            if not case.via:
                yield from _listed(case, self._who(case.label, case.may, at))
        yield "why", _granted([_rules(each) for each in verdicts])

    def _ask_readable(self, subject: Subject, action: str, at: str) -> AtomSet:
        return authority.readable_atoms(self._snapshot, self._table, subject, action=action, now=at)

    def _ask_what(self, subject: Subject, action: str, at: str) -> frozenset[str]:
        listed = listings.what_may(self._snapshot, self._table, subject, action, at)
        return frozenset(entry.label_id for entry in listed)

    def _ask_who(self, label: str, action: str, at: str) -> Readers:
        return listings.who_may(self._snapshot, self._table, self._table.by_id[label], action, at)


def _subject(case: Case) -> Subject:
    return Subject(case.who, case.via, case.purpose)


def _of_policy(case: Case, actor: str, at: str, *, carried: bool) -> Request:
    return Request(actor, case.label, None, case.may, case.purpose, at, carried)


def _listed(case: Case, listed: Readers) -> Iterator[tuple[str, bool]]:
    """Yield what the list of a label's actors says; it is silent on the purposes of who needs none."""
    if not case.purpose:
        yield "who", case.who in listed.readers
    elif case.who not in listed.readers:
        yield "who", case.who in listed.purposes.get(case.purpose, ())


def _rules(of: Verdict) -> frozenset[Rule]:
    return frozenset(reason.rule for reason in of.reasons)


def _granted(matched: Sequence[frozenset[Rule]]) -> bool:
    """Say what the rules that matched, for each actor, come to: some rule allows and none denies."""
    return bool(matched) and all({rule.eft for rule in rules} == {"allow"} for rules in matched)


def _decisive(verdicts: Sequence[Verdict]) -> set[Rule]:
    """Return the rules that matched and without which the rest would come to the other answer."""
    matched = [_rules(each) for each in verdicts]
    answer = _granted(matched)
    return {
        rule
        for rule in frozenset[Rule]().union(*matched)
        if _granted([rules - {rule} for rules in matched]) is not answer
    }


def _failure(case: Case, ways: Mapping[str, Answer], verdicts: Sequence[Verdict]) -> Failure | None:
    if any(each.decision.reason == "error" for each in verdicts):
        return "error"
    if len(set(ways.values())) > 1:
        return "disagreement"
    return None if ways["check"] == case.answer else "answer"


def _answer(said: bool) -> Answer:
    return "allow" if said else "deny"
