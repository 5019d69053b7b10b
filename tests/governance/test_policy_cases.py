"""Tests of a policy are read strictly, and pass only if every way of asking gives the expected answer."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from ringfence_governance import authority, cases_text, listings
from ringfence_governance.cases_text import load_cases, parse_cases
from ringfence_governance.decisions import Decision
from ringfence_governance.errors import Finding, PolicyRefused
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.listings import Readers
from ringfence_governance.policy_cases import ASKED, Case, CaseResult, CaseResults, PolicyCases, run_cases
from ringfence_governance.policy_rows import Rule
from ringfence_governance.policy_text import PolicyBundle, parse_labels_yaml, parse_policy_csv
from ringfence_governance.row_fields import ACTIONS
from ringfence_governance.snapshot import Snapshot
from ringfence_governance.subjects import CHAIN_MAX

from .random_worlds import MOMENTS, random_subject, random_world

NOW = "2026-03-01T00:00:00Z"
DIARY = "acme/label:diary"
GOOD = "{who: acme/user:dora, may: read, label: acme/label:diary, answer: allow}"


def one_case(fields: str) -> str:
    return f"cases:\n  - {fields}\n"


def read(text: str, *label_names: str) -> PolicyCases:
    return parse_cases(text.encode(), "tests.yaml", label_names or (DIARY,))


def findings(text: str | bytes, label_names: tuple[str, ...] | None = (DIARY,)) -> tuple[Finding, ...]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(PolicyRefused) as refused:
        parse_cases(data, "tests.yaml", label_names)
    return refused.value.findings


def one(text: str) -> Finding:
    (found,) = findings(text)
    assert found.file == "tests.yaml"
    return found


# Reading


def test_a_case_is_read_with_its_line_and_what_it_leaves_out() -> None:
    text = """
# a comment
cases:
  - {who: acme/user:dora, may: read, label: acme/label:diary, answer: allow}
  - who: acme/user:dora
    via: [acme/agent:desk, acme/service:index]
    may: ingest
    label: acme/label:diary
    at: 2026-01-01T00:00:00Z
    purpose: support
    answer: deny
"""
    via = ("acme/agent:desk", "acme/service:index")
    assert read(text) == PolicyCases(
        "tests.yaml",
        (
            Case(4, "acme/user:dora", (), "read", DIARY, "", "", "allow"),
            Case(5, "acme/user:dora", via, "ingest", DIARY, "2026-01-01T00:00:00Z", "support", "deny"),
        ),
    )


def test_labels_for_the_test_alone_are_read_as_labels_yaml_is() -> None:
    text = "labels:\n  acme/label:note: {owner: acme/user:dora, level: 1}\n"
    cases = read(text + one_case(GOOD.replace("diary", "note")))
    assert cases.labels == (NamedLabel("acme/label:note", Label("acme", "acme/user:dora", level=1)),)
    assert cases.cases[0].label == "acme/label:note"


def test_every_action_but_delegate_can_be_asked_for() -> None:
    assert ACTIONS - {"delegate"} == ASKED
    for action in ASKED:
        assert read(one_case(GOOD.replace("read", action))).cases[0].may == action
    delegate = one(one_case(GOOD.replace("read", "delegate")))
    assert (delegate.found, delegate.expected) == ("may 'delegate'", "an action that is asked for")


def test_the_policy_itself_can_be_administered_and_audited_and_nothing_else() -> None:
    on_policy = GOOD.replace(DIARY, "acme/policy")
    for action in ASKED:
        text = one_case(on_policy.replace("read", action))
        if action in ("administer", "audit"):
            assert read(text).cases[0].label == "acme/policy"
        else:
            assert one(text).found == f"may {action!r} of a policy"


def changed(**fields: str) -> str:
    """Return a good case with some fields written otherwise; an empty one is left out."""
    written = {"who": "acme/user:dora", "may": "read", "label": DIARY, "answer": "allow"} | fields
    return one_case("{" + ", ".join(f"{key}: {value}" for key, value in written.items() if value) + "}")


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"who": "Acme/user:dora"}, "who 'Acme/user:dora'"),
        ({"who": "acme/user:d\u00f6ra"}, "who 'acme/user:d\\xf6ra'"),
        ({"who": "acme/group:staff"}, "who 'acme/group:staff'"),
        ({"who": "7"}, "who 7"),
        ({"who": "[acme/user:dora]"}, "who ['acme/user:dora']"),
        ({"who": ""}, "a case without who"),
        ({"may": "Read"}, "may 'Read'"),
        ({"may": "'*'"}, "may '*'"),
        ({"may": "[read]"}, "may ['read']"),
        ({"may": "[read]", "label": "acme/policy"}, "may ['read']"),
        ({"may": "{read: read}"}, "may {'read': 'read'}"),
        ({"may": ""}, "a case without may"),
        ({"label": "acme/label:dairy"}, "label 'acme/label:dairy'"),
        ({"label": "acme/set:all"}, "label 'acme/set:all'"),
        ({"label": "acme/label:~0123456789abcdef0123456789abcdef"}, "label 'acme/label:~"),
        ({"label": "Acme/policy"}, "label 'Acme/policy'"),
        ({"label": "'*'"}, "label '*'"),
        ({"label": "[acme/label:diary]"}, "label ['acme/label:diary']"),
        ({"label": ""}, "a case without label"),
        ({"answer": "Allow"}, "answer 'Allow'"),
        ({"answer": "yes"}, "answer 'yes'"),
        ({"answer": "[allow]"}, "answer ['allow']"),
        ({"answer": ""}, "a case without answer"),
        ({"answer": "", "who": ""}, "a case without who, answer"),
        ({"at": "2026-01-01"}, "at '2026-01-01'"),
        ({"at": "2026-01-01T00:00:00+00:00"}, "at '2026-01-01T00:00:00+00:00'"),
        ({"at": "2026-13-01T00:00:00Z"}, "at '2026-13-01T00:00:00Z'"),
        ({"at": "'-'"}, "at '-'"),
        ({"at": "''"}, "at ''"),
        ({"purpose": "Support"}, "purpose 'Support'"),
        ({"purpose": "''"}, "purpose ''"),
        ({"purpose": "'*'"}, "purpose '*'"),
        ({"via": "acme/agent:desk"}, "via 'acme/agent:desk'"),
        ({"via": "[]"}, "via []"),
        ({"via": "[acme/group:staff]"}, "via 'acme/group:staff'"),
        ({"via": "[acme/agent:desk, 7]"}, "via 7"),
        ({"via": "[[acme/agent:desk]]"}, "via ['acme/agent:desk']"),
        ({"for": "support"}, "key 'for'"),
        ({"Who": "acme/user:dora"}, "key 'Who'"),
        ({"expected": "allow"}, "key 'expected'"),
    ],
    ids=str,
)
def test_a_malformed_field_is_found_with_its_line(fields: dict[str, str], found: str) -> None:
    finding = one(changed(**fields))
    assert finding.line == 2
    assert finding.found.startswith(found)


def test_a_field_is_found_in_the_line_it_stands_in() -> None:
    text = f"cases:\n  - who: acme/user:dora\n    may: read\n    label: {DIARY}\n    answer: maybe\n"
    assert one(text).line == 5


def test_a_chain_is_as_long_as_a_subjects_may_be_and_no_longer() -> None:
    agents = [f"acme/agent:a{number}" for number in range(CHAIN_MAX)]
    assert len(read(changed(via=f"[{', '.join(agents[1:])}]")).cases[0].via) == CHAIN_MAX - 1
    assert one(changed(via=f"[{', '.join(agents)}]")).found == f"{CHAIN_MAX} actors in via"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cases: []\n", "no case"),
        ("cases: {}\n", "no case"),
        ("cases:\n", "no case"),
        ("cases: allow\n", "no case"),
        ("labels: {}\n", "no case"),
        ("{}\n", "no case"),
        ("- cases\n", "no mapping"),
        ("allow\n", "no mapping"),
        ("cases:\n  - allow\n", "a case that is no mapping"),
        ("cases:\n  - [allow]\n", "a case that is no mapping"),
        (f"Cases: []\n{one_case(GOOD)}", "key 'Cases'"),
        (f"cases2: []\n{one_case(GOOD)}", "key 'cases2'"),
        (f"labels: []\n{one_case(GOOD)}", "no mapping beneath 'labels'"),
        (f"labels:\n{one_case(GOOD)}", "no mapping beneath 'labels'"),
        ("", "an empty file"),
        ("cases: [\n", "while parsing a flow node"),
        (f"{one_case(GOOD)}{one_case(GOOD)}", "the key 'cases' again"),
        ("cases: &all [1]\n", "an anchor or alias"),
        ("cases: !!float 1.5\n", "the tag"),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, found: str) -> None:
    assert findings(text)[0].found.startswith(found)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbfcases: []", b"cases: [\xff]", b"cases: [\xe2\x80\x8b]"])
def test_bytes_that_are_no_plain_text_are_refused(data: bytes) -> None:
    assert len(findings(data)) == 1


def test_a_file_that_is_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    text = one_case(GOOD)
    monkeypatch.setattr(cases_text, "CASES_BYTES_MAX", len(text))
    assert len(read(text).cases) == 1
    monkeypatch.setattr(cases_text, "CASES_BYTES_MAX", len(text) - 1)
    assert one(text).found == f"{len(text)} bytes"


def test_a_question_that_is_asked_again_is_found_whatever_answer_it_expects() -> None:
    text = one_case(GOOD) + f"  - {GOOD.replace('allow', 'deny')}\n  - {GOOD}\n"
    assert [(each.line, each.found) for each in findings(text)] == [
        (3, "the question of line 2 again"),
        (4, "the question of line 2 again"),
    ]
    others = ["at: 2026-01-01T00:00:00Z", "purpose: support", "via: [acme/agent:desk]"]
    text = one_case(GOOD) + "".join(f"  - {GOOD[:-1]}, {more}}}\n" for more in others)
    assert len(read(text).cases) == 4


def test_a_label_is_not_defined_a_second_time_for_a_test() -> None:
    text = f"labels:\n  {DIARY}: {{owner: acme/user:eve}}\n" + one_case(GOOD)
    finding = one(text)
    assert (finding.line, finding.found) == (2, f"label {DIARY!r} again")
    assert parse_cases(text.encode(), "tests.yaml", ()).labels[0].name == DIARY


def test_a_malformed_label_of_the_file_is_found_once_and_not_as_an_unknown_one() -> None:
    text = "labels:\n  acme/label:note: {level: 1}\n" + one_case(GOOD.replace("diary", "note"))
    assert one(text).found.startswith("label 'acme/label:note'")


def test_where_labels_are_not_known_they_are_not_compared() -> None:
    assert len(parse_cases(one_case(GOOD).encode(), "tests.yaml", None).cases) == 1
    assert findings(changed(label="acme/set:x"), None)[0].found == "label 'acme/set:x'"


def test_all_findings_come_at_once_by_line() -> None:
    text = "labels:\n  acme/label:Note: {owner: acme/user:dora}\nmore: 1\n" + one_case(
        "{who: acme/user:Dora, may: Read, label: acme/label:dairy, answer: maybe, at: now, odd: 1}"
    )
    found = findings(text + "  - {}\n")
    assert [each.line for each in found] == [2, 3, 5, 5, 5, 5, 5, 5, 6]
    assert all(each.file == "tests.yaml" for each in found)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "policy.csv").write_text("p, *, *, *, read, owner, *, -, -, allow\n", "utf-8")
    (tmp_path / "labels.yaml").write_text(f"labels:\n  {DIARY}: {{owner: acme/user:dora}}\n", "utf-8")
    (tmp_path / "tests.yaml").write_text(one_case(GOOD), "utf-8")
    return tmp_path


def test_a_directory_gives_its_policy_and_its_cases(directory: Path) -> None:
    bundle, cases = load_cases(directory)
    assert [label.name for label in bundle.labels] == [DIARY]
    assert (cases.file, len(cases.cases)) == (str(directory / "tests.yaml"), 1)


@pytest.mark.parametrize("missing", ["policy.csv", "labels.yaml", "tests.yaml"])
def test_a_directory_that_lacks_what_the_cases_need_is_refused(directory: Path, missing: str) -> None:
    (directory / missing).unlink()
    with pytest.raises(PolicyRefused):
        load_cases(directory)


def test_findings_of_policy_and_cases_come_together(directory: Path) -> None:
    (directory / "policy.csv").write_text("p, *, *, *, read, owner, *, -, -, Allow\n", "utf-8")
    (directory / "tests.yaml").write_text(changed(answer="maybe", label="acme/label:dairy"), "utf-8")
    with pytest.raises(PolicyRefused) as refused:
        load_cases(directory)
    assert [Path(each.file).name for each in refused.value.findings] == ["policy.csv", "tests.yaml"]


def test_a_broken_policy_alone_is_refused_too(directory: Path) -> None:
    (directory / "policy.csv").write_text("p, *, *, *, read, owner, *, -, -, Allow\n", "utf-8")
    with pytest.raises(PolicyRefused):
        load_cases(directory)


def test_a_rule_may_not_name_a_label_that_only_the_test_defines(directory: Path) -> None:
    """Else a policy would pass its tests and not load into a store."""
    with (directory / "policy.csv").open("a") as file:
        file.write("p, acme/user:eve, acme, acme/label:note, read, any, *, -, -, allow\n")
    text = "labels:\n  acme/label:note: {owner: acme/user:dora}\n" + one_case(GOOD)
    (directory / "tests.yaml").write_text(text, "utf-8")
    with pytest.raises(PolicyRefused, match=r"policy\.csv:2: label 'acme/label:note'"):
        load_cases(directory)


# Running

POLICY = """
p, *, *, *, read, owner, *, -, -, allow
p, *, *, *, read, reader, *, -, -, allow
p, *, *, *, *, denied, *, -, -, deny
p, acme/role:admin, acme, acme/policy, administer, any, *, -, -, allow
p, acme/agent:desk, acme, acme/label:diary, delegate, any, *, -, -, allow
p, acme/user:ann, acme, acme/label:diary, read, any, *, 2026-01-01T00:00:00Z, 2026-07-01T00:00:00Z, allow
p, acme/user:dora, acme, acme/label:diary, read, any, marketing, -, -, deny
g, acme/user:ada, acme/role:admin
"""
LABELS = """
labels:
  acme/label:diary: {owner: acme/user:dora, denied: [acme/user:eve]}
  acme/label:case: {owner: acme/user:dora, readers: [acme/user:sam], purposes: [support]}
"""


def bundle(policy: str = POLICY, labels: str = LABELS) -> PolicyBundle:
    rows = parse_policy_csv(policy.encode(), "policy.csv")
    return PolicyBundle(rows, parse_labels_yaml(labels.encode(), "labels.yaml"), "here")


def run(cases: str, of: PolicyBundle | None = None, now: str = NOW) -> CaseResults:
    policy = of or bundle()
    names = [label.name for label in policy.labels]
    return run_cases(policy, parse_cases(cases.encode(), "tests.yaml", names), now)


def result(fields: str, of: PolicyBundle | None = None, now: str = NOW) -> CaseResult:
    (found,) = run(one_case("{" + fields + "}"), of, now).results
    return found


DORA = "who: acme/user:dora, may: read, label: acme/label:diary"
ALL_WAYS = ("check", "readable", "what", "who", "why")


@pytest.mark.parametrize(
    ("fields", "answer", "ways"),
    [
        (DORA, "allow", ALL_WAYS),
        ("who: acme/user:eve, may: read, label: acme/label:diary", "deny", ALL_WAYS),
        ("who: other/user:dora, may: read, label: acme/label:diary", "deny", ALL_WAYS),
        ("who: acme/user:dora, may: ingest, label: acme/label:diary", "deny", ALL_WAYS),
        (f"{DORA}, via: [acme/agent:desk]", "allow", ("check", "readable", "what", "why")),
        (f"{DORA}, via: [acme/agent:other]", "deny", ("check", "readable", "what", "why")),
        ("who: acme/user:sam, may: read, label: acme/label:case", "deny", ALL_WAYS),
        ("who: acme/user:sam, may: read, label: acme/label:case, purpose: support", "allow", ALL_WAYS),
        ("who: acme/user:sam, may: read, label: acme/label:case, purpose: other", "deny", ALL_WAYS),
        (f"{DORA}, purpose: other", "allow", ("check", "readable", "what", "why")),
        (f"{DORA}, purpose: marketing", "deny", ("check", "readable", "what", "why")),
        ("who: acme/user:ada, may: administer, label: acme/policy", "allow", ("check", "why")),
        ("who: acme/user:dora, may: administer, label: acme/policy", "deny", ("check", "why")),
        ("who: other/user:ada, may: administer, label: acme/policy", "deny", ("check", "why")),
        ("who: acme/user:ada, may: administer, label: other/policy", "deny", ("check", "why")),
        (
            "who: acme/user:ada, via: [acme/agent:desk], may: administer, label: acme/policy",
            "deny",
            ("check", "why"),
        ),
    ],
    ids=str,
)
def test_every_way_there_is_gives_the_answer(fields: str, answer: str, ways: tuple[str, ...]) -> None:
    right = result(f"{fields}, answer: {answer}")
    assert right.ways == dict.fromkeys(ways, answer)
    assert (right.failure, right.found, right.reasons) == (None, answer, ())
    wrong = result(f"{fields}, answer: {'deny' if answer == 'allow' else 'allow'}")
    assert (wrong.failure, wrong.found, wrong.ways) == ("answer", answer, right.ways)
    assert wrong.reasons


def test_a_case_without_a_time_is_asked_for_the_time_of_the_run() -> None:
    ann = "who: acme/user:ann, may: read, label: acme/label:diary"
    assert result(f"{ann}, answer: allow", now="2026-06-30T23:59:59Z").failure is None
    assert result(f"{ann}, answer: deny", now="2026-07-01T00:00:00Z").failure is None
    timed = f"{ann}, at: 2026-01-01T00:00:00Z, answer: allow"
    found = result(timed, now="2040-01-01T00:00:00Z")
    assert (found.failure, found.at) == (None, "2026-01-01T00:00:00Z")


def test_questions_that_differ_in_one_thing_are_not_answered_alike() -> None:
    """What is asked once is kept by everything that matters to it."""
    ann = "who: acme/user:ann, label: acme/label:diary"
    sam = "who: acme/user:sam, may: read, label: acme/label:case"
    found = run(
        f"""
cases:
  - {{{ann}, may: read, at: 2026-01-01T00:00:00Z, answer: allow}}
  - {{{ann}, may: read, at: 2025-01-01T00:00:00Z, answer: deny}}
  - {{{ann}, may: delete, at: 2026-01-01T00:00:00Z, answer: deny}}
  - {{{ann}, may: read, at: 2026-01-01T00:00:00Z, via: [acme/agent:desk], answer: allow}}
  - {{{ann}, may: read, at: 2026-01-01T00:00:00Z, via: [acme/agent:other], answer: deny}}
  - {{{sam}, purpose: support, answer: allow}}
  - {{{sam}, answer: deny}}
  - {{who: acme/user:ann, may: read, label: acme/label:case, answer: deny}}
"""
    )
    assert found.failed == ()


def test_a_label_of_the_test_alone_is_decided_over() -> None:
    text = "labels:\n  acme/label:note: {owner: acme/user:eve}\n" + one_case(
        "{who: acme/user:eve, may: read, label: acme/label:note, answer: allow}"
    )
    assert run(text).failed == ()


def test_a_failed_case_gives_every_rule_that_matched_for_each_actor() -> None:
    found = result(
        "who: acme/user:eve, via: [acme/agent:x], may: read, label: acme/label:diary, answer: allow"
    )
    person, agent = (reason.to_mapping() for reason in found.reasons)
    assert (person["actor"], person["reason"]) == ("acme/user:eve", "deny")
    assert [rule["rule"] for rule in person["rules"]] == ["p, *, *, *, *, denied, *, -, -, deny"]  # type: ignore[attr-defined]
    assert (agent["actor"], agent["reason"], agent["rules"]) == ("acme/agent:x", "no rule", [])


def test_the_policy_itself_is_explained_too() -> None:
    found = result("who: acme/user:ada, may: administer, label: acme/policy, answer: deny")
    (reason,) = found.reasons
    assert reason.reasons[0].membership == ("acme/user:ada", "acme/role:admin")


def test_what_an_agent_may_itself_it_does_not_carry() -> None:
    may = "p, acme/agent:boss, acme, acme/policy, administer, any, *, -, -, allow\n"
    on_policy = "may: administer, label: acme/policy"
    assert result(f"who: acme/agent:boss, {on_policy}, answer: allow", bundle(POLICY + may)).failure is None
    carried = f"who: acme/user:ada, via: [acme/agent:boss], {on_policy}, answer: deny"
    found = result(carried, bundle(POLICY + may))
    assert (found.failure, found.ways) == (None, {"check": "deny", "why": "deny"})


@pytest.mark.parametrize("expected", ["allow", "deny"])
@pytest.mark.parametrize("way", ALL_WAYS)
def test_one_way_that_lies_fails_the_case_whatever_it_expects(
    way: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = result(f"{DORA}, answer: deny").reasons[0]
    silent = type(verdict)(verdict.actor, False, verdict.object_id, verdict.decision, ())
    lies = {
        "check": (authority, "allowed", lambda *rest: False),
        "readable": (authority, "readable_atoms", None),
        "what": (listings, "what_may", lambda *rest: ()),
        "who": (listings, "who_may", lambda *rest: Readers((), {})),
        "why": (authority, "explain", lambda *rest, **named: _Explained((silent,))),
    }
    module, name, lie = lies[way]
    if way == "readable":
        # The listing is made of the set; it is given the honest one, so that the set alone lies.
        honest = authority.readable_atoms
        answers = iter([frozenset(), None])

        def once(*rest: object, **named: object) -> object:
            return found if (found := next(answers)) is not None else honest(*rest, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(authority, "readable_atoms", once)
    elif way == "check":
        # So is the list of actors.
        monkeypatch.setattr(listings, "who_may", lambda *rest: Readers(("acme/user:dora",), {}))
        monkeypatch.setattr(module, name, lie)
    else:
        monkeypatch.setattr(module, name, lie)
    found = result(f"{DORA}, answer: {expected}")
    assert found.failure == "disagreement"
    assert found.ways == dict.fromkeys(ALL_WAYS, "allow") | {way: "deny"}
    assert found.reasons == ((silent,) if way == "why" else (verdict,))


class _Explained:
    def __init__(self, verdicts: tuple[object, ...]) -> None:
        self.verdicts = verdicts


@pytest.mark.parametrize("label", [DIARY, "acme/policy"])
def test_an_error_while_deciding_is_no_deny(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store refuses on an error; a test that expects a refusal must not pass by one."""
    monkeypatch.setattr(Snapshot, "decide_kept", lambda self, request: Decision(False, None, "error"))
    found = result(f"who: acme/user:eve, may: audit, label: {label}, answer: deny")
    assert (found.failure, found.found) == ("error", "deny")
    assert found.reasons[0].decision.reason == "error"


def untested(*cases: str) -> set[str]:
    """Return which of the policy's rules no case turns on, by their relation or action."""
    found = run("cases:\n" + "".join(f"  - {{{case}}}\n" for case in cases))
    assert found.failed == ()
    return {_short(rule) for rule in found.untested}


def _short(rule: Rule) -> str:
    return rule.rel if rule.rel != "any" else f"{rule.sub.split(':')[1]} {rule.eft}"


ALL_RULES = {"owner", "reader", "denied", "admin allow", "desk allow", "ann allow", "dora deny"}


def test_a_rule_is_tested_only_if_an_answer_turns_on_it() -> None:
    stranger = "who: acme/user:x, may: read, label: acme/label:diary, answer: deny"
    assert untested(stranger) == ALL_RULES
    assert untested(f"{DORA}, answer: allow") == ALL_RULES - {"owner"}
    # A deny where nothing else allows changes nothing.
    assert untested("who: acme/user:eve, may: read, label: acme/label:diary, answer: deny") == ALL_RULES
    assert untested(f"{DORA}, purpose: marketing, answer: deny") == ALL_RULES - {"dora deny"}
    assert untested(f"{DORA}, via: [acme/agent:desk], answer: allow") == ALL_RULES - {"owner", "desk allow"}
    # One of two that keep him out is not enough to let him in.
    assert untested(f"{DORA}, via: [acme/agent:x], purpose: marketing, answer: deny") == ALL_RULES
    on_policy = "who: acme/user:ada, may: administer, label: acme/policy, answer: allow"
    assert untested(on_policy) == ALL_RULES - {"admin allow"}


def test_two_rules_that_allow_the_same_are_both_untested() -> None:
    policy = POLICY + "p, acme/user:dora, acme, acme/label:diary, read, any, *, -, -, allow\n"
    found = run(one_case(f"{{{DORA}, answer: allow}}"), bundle(policy))
    assert len(found.untested) == len(bundle(policy).rows.rules)


@pytest.mark.parametrize("seed", range(4))
def test_all_ways_agree_over_random_policies_and_with_their_meaning(seed: int) -> None:
    dice = random.Random(700 + seed)
    answers = Counter[str]()
    for _ in range(20):
        world = random_world(dice)
        labels = tuple(NamedLabel(*item) for item in world.labels.items() if "~" not in item[0])
        cases = []
        for line in range(1, 16):
            subject, label = random_subject(dice), dice.choice(labels).name
            action, at = dice.choice(["read", "read", "ingest"]), dice.choice(MOMENTS)
            answer = "allow" if world.chain_may(subject, label, action, at) else "deny"
            cases.append(Case(line, subject.person, subject.via, action, label, at, subject.purpose, answer))  # type: ignore[arg-type]
            answers[answer] += 1
        policy = PolicyBundle(world.rows, labels, "random")
        found = run_cases(policy, PolicyCases("random", tuple(cases)), NOW)
        assert [each.to_mapping() for each in found.failed] == []
    assert min(answers["allow"], answers["deny"]) > 10
