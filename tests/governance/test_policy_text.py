"""Policy files are read strictly: every finding at once, each with file and line, and no policy with one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from ringfence_governance import labels_text, policy_text
from ringfence_governance.errors import Finding, PolicyRefused
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_checks import DEPTH_MAX, FINDINGS_MAX, check_rows
from ringfence_governance.policy_rows import Facts, Link, PolicyRows, Row, Rule, from_fields, to_fields
from ringfence_governance.policy_text import (
    LINE_CHARACTERS_MAX,
    load_directory,
    parse_labels_yaml,
    parse_policy_csv,
    shipped_default,
)
from ringfence_policies import model_text

RULE = "p, *, *, *, read, owner, *, -, -, allow"
T0, T9 = "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"


def findings(text: str | bytes, file: str = "policy.csv") -> tuple[Finding, ...]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(PolicyRefused) as refused:
        parse_policy_csv(data, file)
    return refused.value.findings


def one(text: str | bytes) -> Finding:
    found = findings(text)
    assert len(found) == 1, found
    return found[0]


def label_findings(text: str | bytes) -> tuple[Finding, ...]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(PolicyRefused) as refused:
        parse_labels_yaml(data, "labels.yaml")
    return refused.value.findings


def test_each_row_type_is_read() -> None:
    rows = parse_policy_csv(
        b"""
        # a comment, with \xc3\xa4 and "quotes"
        p, acme/user:a, acme, acme/label:x, read, any, fraud, 2026-01-01T00:00:00Z, -, allow
        g, acme/user:a, acme/group:g
        g2,acme/label:x,acme/set:s
        g3 ,\tfraud , security
        f, acme/user:a, 3, hr|legal
        f, acme/agent:b, 0, -
        """,
        "policy.csv",
    )
    rule = Rule(
        "acme/user:a", "acme", "acme/label:x", "read", "any", "fraud", "2026-01-01T00:00:00Z", T9, "allow"
    )
    assert rows.rules == (rule,)
    assert rows.links == (
        Link("g", "acme/user:a", "acme/group:g"),
        Link("g2", "acme/label:x", "acme/set:s"),
        Link("g3", "fraud", "security"),
    )
    facts = Facts("acme/user:a", 3, frozenset({"hr", "legal"})), Facts("acme/agent:b", 0, frozenset())
    assert rows.facts == facts


def test_windows_line_ends_are_read() -> None:
    assert len(parse_policy_csv(f"{RULE}\r\n\r\ng, a/user:u, a/group:g\r\n".encode(), "x")) == 2


def test_what_is_written_out_is_read_back() -> None:
    text = (
        f"{RULE}\np, a/user:u, a, a/policy, audit, any, q, -, 2026-01-01T00:00:00Z, deny\nf, a/user:u, 9, x|y"
    )
    rows = parse_policy_csv(text.encode(), "x")
    assert PolicyRows.of([from_fields(to_fields(row)) for row in rows]) == rows
    assert [", ".join(to_fields(row)) for row in rows] == text.splitlines()


def test_an_open_end_written_as_a_time_is_the_same_row() -> None:
    assert one(f"{RULE}\np, *, *, *, read, owner, *, {T0}, {T9}, allow").line == 2


def test_the_message_says_file_line_found_expected_and_what_to_do() -> None:
    found = one(f"{RULE}\n\n# comment\np, *, *, *, read, reader, *, -, -, Deny")
    assert str(found) == (
        "policy.csv:4: effect 'Deny'; expected one of 'allow', 'deny'; rules are case-sensitive, write deny"
    )


def test_all_findings_come_at_once_in_the_order_of_the_lines() -> None:
    found = findings(
        "P, x\n" + RULE + "\np, Bob, *, *, eat, any, Q, 1, 2, maybe\ng, a/user:u, b/group:g\n" + RULE
    )
    assert [finding.line for finding in found] == [1, 3, 3, 3, 3, 3, 3, 4, 5]


P = "p, a/user:u, a, *, read, any, *, -, -, allow"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("P, a/user:u, a, *, read, any, *, -, -, allow", "row type 'P'"),
        ("p2, a/user:u, a, *, read, any, *, -, -, allow", "row type 'p2'"),
        ("deny, a/user:u", "row type 'deny'"),
        ("policy", "row type 'policy'"),
        (", a/user:u", "row type ''"),
        ("p, a/user:u, a, *, read, any, *, -, -", "8 fields after 'p'"),
        (P + ", x", "10 fields after 'p'"),
        (P + ",", "10 fields after 'p'"),
        ("g, a/user:u", "1 fields after 'g'"),
        ("g, a/user:u, a/group:g, a", "3 fields after 'g'"),
        ("f, a/user:u, 1", "2 fields after 'f'"),
        (P.replace("allow", "Allow"), "effect 'Allow'"),
        (P.replace("allow", "DENY"), "effect 'DENY'"),
        (P.replace("allow", "block"), "effect 'block'"),
        (P.replace("allow", ""), "effect ''"),
        (P.replace("read", "Read"), "action 'Read'"),
        (P.replace("read", "relabel"), "action 'relabel'"),
        (P.replace("read", "*"), "action '*' in a rule that allows"),
        (P.replace("any", "all"), "relation 'all'"),
        (P.replace("any", "denied"), "relation 'denied' in a rule that allows"),
        (P.replace("any", "reader").replace("allow", "deny"), "relation 'reader' in a rule that denies"),
        (P.replace("read, any", "delegate, owner"), "action 'delegate' with relation 'owner'"),
        (P.replace("*, read, any", "a/policy, administer, owner"), "relation 'owner' on 'a/policy'"),
        (P.replace("a/user:u", "u"), "sub 'u'"),
        (P.replace("a/user:u", "a/User:u"), "sub 'a/User:u'"),
        (P.replace("a/user:u", "a/user:U"), "sub 'a/user:U'"),
        (P.replace("a/user:u", "a/user:u v"), "sub 'a/user:u v'"),
        (P.replace("a/user:u", "a/label:u"), "sub 'a/label:u'"),
        (P.replace("a/user:u", "a/user:"), "sub 'a/user:'"),
        (P.replace("a/user:u", "**"), "sub '**'"),
        (P.replace("a/user:u", "a/user:*"), "sub 'a/user:*'"),
        (P.replace("a/user:u", "a/user:b\u043eb"), "sub 'a/user:b\\u043eb'"),
        (P.replace("a/user:u", "a/user:b\uff42"), "sub 'a/user:b\\uff42'"),
        (P.replace("a/user:u", "a/user:u\u00a0"), "sub 'a/user:u\\xa0'"),
        (P.replace("a/user:u", "a/user:u\u200b"), "the character U+200B"),
        (P.replace("a/user:u", "a/user:u\ufeff"), "the character U+FEFF"),
        (P.replace("a/user:u", "a/user:u\x00"), "the character U+0000"),
        (P.replace("a/user:u", "a/user:u\x0b"), "the character U+000B"),
        (P.replace("a/user:u", "a/user:u\r"), "the character U+000D"),
        (P.replace("a/user:u", "a/user:u\x85"), "the character U+0085"),
        (P.replace("a/user:u", "a/user:u\u2028"), "the character U+2028"),
        ("# looks \u202e harmless", "the character U+202E"),
        (P.replace("a/user:u", '"a/user:u"'), "a quote"),
        (P.replace("a/user:u", "'a/user:u'"), "a quote"),
        (P + " # why", "'#' after a row"),
        (P.replace(", a,", ", A,"), "dom 'A'"),
        (P.replace(", a,", ", ,"), "dom ''"),
        (P.replace(", a,", ", b,"), "tenants 'a', 'b' in one rule"),
        (P.replace("*, read", "b/label:x, read"), "tenants 'a', 'b' in one rule"),
        (P.replace("a, *, read", "*, b/label:x, read"), "tenants 'a', 'b' in one rule"),
        (P.replace("*, read", "b/policy, read"), "tenants 'a', 'b' in one rule"),
        (P.replace("*, read", "a/user:x, read"), "obj 'a/user:x'"),
        (P.replace("*, read", "a/label:x*, read"), "obj 'a/label:x*'"),
        (P.replace("*, read", "a/policy/x, read"), "obj 'a/policy/x'"),
        (P.replace("*, read", "policy, read"), "obj 'policy'"),
        (P.replace("*, read", f"a/label:~{'0' * 32}, read"), f"obj 'a/label:~{'0' * 32}'"),
        (P.replace("any, *", "any, Fraud"), "purpose 'Fraud'"),
        (P.replace("any, *", "any, "), "purpose ''"),
        (P.replace("-, -", "2026-01-01, -"), "nbf '2026-01-01'"),
        (P.replace("-, -", "-, 2026-01-01T00:00:00+00:00"), "exp '2026-01-01T00:00:00+00:00'"),
        (P.replace("-, -", "-, 2026-13-01T00:00:00Z"), "exp '2026-13-01T00:00:00Z'"),
        (P.replace("-, -", "2026-01-01T24:00:00Z, -"), "nbf '2026-01-01T24:00:00Z'"),
        (P.replace("-, -", "-, \u0662026-01-01T00:00:00Z"), "exp '\\u0662026-01-01T00:00:00Z'"),
        (
            P.replace("-, -", "2026-01-01T00:00:00Z, 2026-01-01T00:00:00Z"),
            "nbf '2026-01-01T00:00:00Z' not before",
        ),
        ("g, a/user:u, a/user:v", "group or role 'a/user:v'"),
        ("g, a/label:u, a/group:v", "member 'a/label:u'"),
        ("g, *, a/group:v", "member '*'"),
        ("g, a/user:u, b/group:g", "'a/user:u' put into 'b/group:g' of another tenant"),
        ("g, a/group:g, a/group:g", "'a/group:g' in 'a/group:g' is part of a cycle"),
        ("g2, a/label:x, a/label:y", "set 'a/label:y'"),
        ("g2, a/set:x, a/set:y", "label 'a/set:x'"),
        ("g2, a/label:x, b/set:y", "of another tenant"),
        (f"g2, a/label:~{'0' * 32}, a/set:y", f"label 'a/label:~{'0' * 32}'"),
        ("g3, Fraud, security", "purpose 'Fraud'"),
        ("g3, fraud, *", "broader purpose '*'"),
        ("g3, fraud, fraud", "'fraud' in 'fraud' is part of a cycle"),
        ("f, a/group:g, 1, -", "principal 'a/group:g'"),
        ("f, a/user:u, 10, -", "level '10'"),
        ("f, a/user:u, -1, -", "level '-1'"),
        ("f, a/user:u, 01, -", "level '01'"),
        ("f, a/user:u, \u0661, -", "level '\\u0661'"),
        ("f, a/user:u, 1, ", "compartment ''"),
        ("f, a/user:u, 1, hr||legal", "compartment ''"),
        ("f, a/user:u, 1, hr|hr", "compartments 'hr|hr'"),
        ("f, a/user:u, 1, HR", "compartment 'HR'"),
        ("f, a/user:u, 1, *", "compartment '*'"),
        ("x" * (LINE_CHARACTERS_MAX + 1), f"{LINE_CHARACTERS_MAX + 1} characters"),
    ],
)
def test_a_malformed_line_is_refused_and_says_so(line: str, says: str) -> None:
    found = one(f"{RULE}\n{line}\n")
    assert found.line == 2
    assert says in found.found


def test_a_line_of_the_longest_kind_is_read() -> None:
    comment = "#" + "x" * (LINE_CHARACTERS_MAX - 1)
    assert len(parse_policy_csv(f"{comment}\n{RULE}".encode(), "x")) == 1


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_refused(mark: bytes) -> None:
    assert "byte order mark" in one(mark + RULE.encode()).found


def test_another_encoding_is_refused_with_its_line() -> None:
    found = one(RULE.encode() + b"\n# caf\xe9")
    assert (found.line, found.found) == (2, "the byte 0xe9")


def test_an_empty_policy_is_refused() -> None:
    for text in ("", "\n\n", "# only this", "g, a/user:u, a/group:g", "f, a/user:u, 9, -"):
        assert one(text).found == "no rule at all"


def test_a_file_whose_only_rule_is_malformed_is_not_also_called_empty() -> None:
    assert [finding.line for finding in findings("p, x\n")] == [1]


def test_a_file_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_text, "POLICY_BYTES_MAX", len(RULE))
    assert len(parse_policy_csv(RULE.encode(), "x")) == 1
    assert f"at most {len(RULE)}" in one(RULE + "\n").expected


def test_a_row_given_twice_is_refused() -> None:
    found = findings(f"{RULE}\ng, a/user:u, a/group:g\n{RULE.replace(' ', '')}\ng,a/user:u , a/group:g")
    assert [(finding.line, finding.found) for finding in found] == [
        (3, "the row of line 1 again"),
        (4, "the row of line 2 again"),
    ]


def test_two_rows_of_facts_for_one_actor_are_refused() -> None:
    assert (
        "other facts of 'a/user:u' than in line 2"
        in one(f"{RULE}\nf, a/user:u, 1, -\nf, a/user:u, 2, -").found
    )


def test_every_link_of_a_cycle_is_named_and_no_other() -> None:
    links = [
        "g, a/group:x, a/group:y",
        "g, a/group:y, a/group:z",
        "g, a/group:z, a/group:y",
        "g, a/group:z, a/group:w",
    ]
    found = findings("\n".join([RULE, *links]))
    assert [finding.line for finding in found] == [3, 4]
    assert all("cycle" in finding.found for finding in found)


def chain(kind: str, length: int) -> str:
    names = [f"n{number}" if kind == "g3" else f"a/group:n{number}" for number in range(length + 1)]
    return "\n".join([RULE, *(f"{kind}, {low}, {high}" for low, high in pairwise(names))])


@pytest.mark.parametrize("kind", ["g", "g3"])
def test_a_chain_of_links_as_long_as_casbin_follows_is_read_and_one_more_refused(kind: str) -> None:
    assert len(parse_policy_csv(chain(kind, DEPTH_MAX).encode(), "x").links) == DEPTH_MAX
    found = one(chain(kind, DEPTH_MAX + 1))
    assert found.line == DEPTH_MAX + 2
    assert f"more than {DEPTH_MAX} links" in found.found


def test_the_longest_way_up_counts_even_beside_a_short_one() -> None:
    shortcut = f"\ng, a/group:n0, a/group:n{DEPTH_MAX + 1}"
    assert "more than" in one(chain("g", DEPTH_MAX + 1) + shortcut).found


def test_findings_are_bounded_and_the_last_says_that_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(findings("bad\n" * FINDINGS_MAX)) == FINDINGS_MAX
    read: list[object] = []

    def counting(fields: Sequence[str]) -> Row:
        read.append(fields)
        return from_fields(fields)

    monkeypatch.setattr(policy_text, "from_fields", counting)
    found = findings("bad\n" * (FINDINGS_MAX + 50))
    assert len(found) == FINDINGS_MAX + 1
    assert (found[-1].line, found[-1].found) == (FINDINGS_MAX + 1, "more findings than are listed")
    assert len(read) == FINDINGS_MAX + 1


def test_an_anonymous_label_in_a_rule_is_told_to_be_named() -> None:
    found = one(f"{RULE}\n{P.replace('*, read', f'a/label:~{chr(48) * 32}, read')}")
    assert found.expected == "a label with a name"


def test_a_label_that_nothing_defines_is_a_finding() -> None:
    rows = parse_policy_csv(
        f"{RULE}\n{P.replace('*, read', 'a/label:x, read')}\ng2, a/label:y, a/set:s".encode(), "x"
    )
    assert check_rows(rows, {"a/label:x", "a/label:y"}) == ()
    assert [finding.found for finding in check_rows(rows, {"a/label:x"}, "f")] == ["label 'a/label:y'"]
    assert len(check_rows(rows, ())) == 2
    assert check_rows(rows) == ()


def test_rows_put_together_by_hand_are_checked_for_duplicates_too() -> None:
    rule = shipped_default().rows.rules[0]
    assert [finding.line for finding in check_rows(PolicyRows((rule, rule)))] == [1]


def test_a_row_object_is_canonical_or_is_not_made() -> None:
    with pytest.raises(PolicyRefused) as refused:
        Rule("Bob", "*", "*", "read", "any", "*", "now", T9, "Allow")
    assert [(finding.file, finding.line) for finding in refused.value.findings] == [("<row>", 1)] * 3
    makes: tuple[Callable[[], object], ...] = (
        lambda: Link("g4", "a/user:u", "a/group:g"),  # type: ignore[arg-type]
        lambda: Facts("a/user:u", True, frozenset()),
        lambda: Facts("a/user:u", 1, ["hr"]),  # type: ignore[arg-type]
        lambda: Facts("a/user:u", 1, frozenset({5})),  # type: ignore[arg-type]
        lambda: Rule(5, None, [], 1, 2, 3, 4, 5, 6),  # type: ignore[arg-type]
        lambda: from_fields([]),
    )
    for make in makes:
        with pytest.raises(PolicyRefused):
            make()


def test_rows_hold_only_rows() -> None:
    with pytest.raises(TypeError, match="expected Rule"):
        PolicyRows(rules=("p, *",))  # type: ignore[arg-type]


def test_a_row_is_added_once_and_removed_again() -> None:
    rows = shipped_default().rows
    more: list[Row] = [Link("g", "a/user:u", "a/group:g"), Facts("a/user:u", 1, frozenset())]
    for row in more:
        grown = rows.with_row(row)
        assert row in grown
        assert row not in rows
        assert len(grown) == len(rows) + 1
        assert grown.with_row(row) is grown
        assert grown.without_row(row) == rows
        assert rows.without_row(row) is rows


LABELS = """
labels:
  acme/label:payroll:
    owner: acme/user:dora
    readers: [acme/group:hr]
    denied: []
    level: 2
    compartments: [payroll]
    purposes: ["*"]
    valid_from: 2026-01-01T00:00:00Z
    valid_until: "2027-01-01T00:00:00Z"
  acme/label:news: {owner: acme/user:dora, readers: ["*"]}
"""


def test_labels_are_read() -> None:
    payroll, news = parse_labels_yaml(LABELS.encode(), "labels.yaml")
    assert payroll == NamedLabel(
        "acme/label:payroll",
        Label(
            "acme",
            "acme/user:dora",
            readers=frozenset({"acme/group:hr"}),
            level=2,
            compartments=frozenset({"payroll"}),
            valid_from="2026-01-01T00:00:00Z",
            valid_until="2027-01-01T00:00:00Z",
        ),
    )
    assert news.definition.readers == {"*"}


def test_no_labels_are_no_labels() -> None:
    assert parse_labels_yaml(b"labels: {}", "labels.yaml") == ()


OWNED = "labels:\n  a/label:x:\n    owner: a/user:u\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "an empty file"),
        ("[]", 1, "another shape"),
        ("label: {}", 1, "another shape"),
        ("labels: {}\nversion: 1", 1, "another shape"),
        ("labels: []", 1, "no mapping beneath 'labels'"),
        ("labels: {}\n---\nlabels: {}", 2, "document"),
        ("labels: {", 1, "expected"),
        ("labels:\n  a/label:x: a/user:u", 2, "without fields"),
        ("labels:\n  a/Label:x: {owner: a/user:u}", 2, "label 'a/Label:x'"),
        ("labels:\n  a/set:x: {owner: a/user:u}", 2, "label 'a/set:x'"),
        ("labels:\n  a/label:b\u043eb: {owner: a/user:u}", 2, "label 'a/label:b\\u043eb'"),
        ("labels:\n  5: {owner: a/user:u}", 2, "a key that is not text"),
        ("labels:\n  a/label:x: {}", 2, "no owner"),
        (OWNED + "    owner: a/user:v", 4, "the key 'owner' again, first in line 3"),
        (OWNED + "  a/label:x: {owner: a/user:v}", 4, "the key 'a/label:x' again, first in line 2"),
        (OWNED + "    reader: [a/user:v]", 4, "field 'reader'"),
        (OWNED + "    tenant: a", 4, "field 'tenant'"),
        (OWNED + "    readers: a/user:v", 2, "found readers 'a/user:v'"),
        (OWNED + "    readers: [a/user:v, a/user:v]", 4, "'a/user:v' twice in readers"),
        (OWNED + "    readers: [b/user:v]", 2, "found readers 'b/user:v' in tenant 'a'"),
        (OWNED + "    readers: [A/user:v]", 2, "'A/user:v'"),
        (OWNED + "    readers: [*]", 4, "alias"),
        (OWNED + "    readers: [5]", 2, "readers [5]"),
        (OWNED + '    denied: ["*"]', 2, "found denied '*'"),
        (OWNED + "    level: 10", 2, "found level 10"),
        (OWNED + '    level: "2"', 2, "found level '2'"),
        (OWNED + "    level: 01", 2, "found level '01'"),
        (OWNED + "    level: 0x2", 2, "found level '0x2'"),
        (OWNED + "    level: yes", 2, "found level 'yes'"),
        (OWNED + "    level: 2.0", 2, "found level '2.0'"),
        (OWNED + "    level: null", 2, "found level 'null'"),
        (OWNED + "    compartments: [HR]", 2, "'HR'"),
        (OWNED + "    purposes: []", 2, "no purpose"),
        (OWNED + "    valid_from: 2026-01-01", 2, "'2026-01-01'"),
        (
            OWNED + "    valid_from: 2026-01-01T00:00:00Z\n    valid_until: 2026-01-01T00:00:00Z",
            2,
            "not before",
        ),
        (OWNED + "    level: !!int 2", 0, ""),
        (OWNED + "    level: !!python/object/apply:os.getcwd []", 4, "tag"),
        (OWNED + "    readers: !!set {a/user:v}", 4, "tag"),
        (OWNED + "    readers: &here [a/user:v]", 4, "anchor or alias"),
        (OWNED + "    readers: &here [a/user:v]\n    denied: *here", 4, "anchor or alias"),
        (OWNED + "    <<: {level: 2}", 4, "field '<<'"),
        (OWNED + "    readers: " + "[" * 60 + "]" * 60, 4, "nesting deeper"),
        (OWNED + "    # hidden \u202e comment", 4, "U+202E"),
        (OWNED + "\tlevel: 2", 4, "cannot start any token"),
    ],
)
def test_a_malformed_label_file_is_refused_and_says_so(text: str, line: int, says: str) -> None:
    if not line:
        assert parse_labels_yaml(text.encode(), "labels.yaml")[0].definition.level == 2
        return
    found = label_findings(text)
    assert (found[0].file, found[0].line) == ("labels.yaml", line)
    assert says in found[0].found


def test_all_findings_of_a_label_file_come_at_once() -> None:
    found = label_findings(
        "labels:\n  a/label:x: {owner: U, level: 1}\n  a/label:y: {owner: a/user:u, x: 1, y: 2}\n"
    )
    assert [finding.line for finding in found] == [2, 3, 3]


@pytest.mark.parametrize("data", [b"\xef\xbb\xbflabels: {}", b"labels: \xff"])
def test_another_encoding_of_labels_is_refused(data: bytes) -> None:
    assert label_findings(data)[0].line == 1


def test_a_label_file_too_large_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_text, "LABELS_BYTES_MAX", 10)
    assert parse_labels_yaml(b"labels: {}", "x") == ()
    assert "11 bytes" in label_findings(b"labels:  {}")[0].found


def test_deep_nesting_ends_in_a_finding_and_not_in_the_recursion_limit() -> None:
    text = "labels: " + "{a: " * 20_000
    assert "nesting deeper" in label_findings(text)[0].found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "policy.csv").write_text(f"{RULE}\ng2, acme/label:news, acme/set:s\n")
    (tmp_path / "labels.yaml").write_text(LABELS)
    return tmp_path


def test_a_directory_gives_rows_and_labels(directory: Path) -> None:
    bundle = load_directory(directory)
    assert len(bundle.rows) == 2
    assert [label.name for label in bundle.labels] == ["acme/label:payroll", "acme/label:news"]
    assert bundle.source == str(directory)


def test_a_directory_without_labels_is_read(directory: Path) -> None:
    (directory / "labels.yaml").unlink()
    (directory / "policy.csv").write_text(RULE)
    assert load_directory(directory).labels == ()


def refused_directory(directory: Path) -> list[tuple[str, int]]:
    with pytest.raises(PolicyRefused) as refused:
        load_directory(directory)
    return [(Path(finding.file).name, finding.line) for finding in refused.value.findings]


def test_a_rule_that_names_an_undefined_label_is_refused_with_its_line(directory: Path) -> None:
    (directory / "labels.yaml").unlink()
    assert refused_directory(directory) == [("policy.csv", 2)]


def test_findings_of_both_files_come_at_once(directory: Path) -> None:
    (directory / "labels.yaml").write_text("labels:\n  x: {}\n")
    (directory / "policy.csv").write_text("P, x\n")
    assert refused_directory(directory) == [("labels.yaml", 2), ("policy.csv", 1)]


def test_a_missing_directory_or_policy_is_refused(directory: Path) -> None:
    assert refused_directory(directory / "nowhere") == [("policy.csv", 1)]
    (directory / "policy.csv").unlink()
    assert refused_directory(directory) == [("policy.csv", 1)]
    (directory / "policy.csv").mkdir()
    assert refused_directory(directory) == [("policy.csv", 1)]


def test_a_model_of_its_own_is_refused_unless_it_is_the_shipped_one(directory: Path) -> None:
    model = directory / "model.conf"
    model.write_text("# as shipped\r\n" + model_text().replace("\n", "\r\n"), newline="")
    assert len(load_directory(directory).rows) == 2
    model.write_text(model_text().replace("r.obj.level <= r.sub.level", "r.obj.level < r.sub.level"))
    with pytest.raises(PolicyRefused, match="another model than the shipped one"):
        load_directory(directory)
    assert refused_directory(directory) == [("model.conf", 1)]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_malformed_model_is_refused_with_its_lines_and_not_only_as_another(directory: Path) -> None:
    shipped = model_text()
    effect, matcher = line_of(shipped, "\ne = ") + 1, line_of(shipped, "\nm = ") + 1
    changed = shipped.replace("&& !some(where (p.eft == deny))", "").replace("g3(r.ctx.purpose", "eval(p.act")
    (directory / "model.conf").write_text(changed + "\nm2 = r.sub.known\n")
    (directory / "policy.csv").write_text("P, x\n")
    last = len(shipped.splitlines()) + 1 + shipped.endswith("\n")
    model = [("model.conf", line) for line in (effect, matcher, last)]
    assert refused_directory(directory) == [*model, ("policy.csv", 1)]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\xef\xbb\xbf" + model_text().encode(), 1),
        (model_text().encode() + b"\n#\n# caf\xe9", 2 + len(model_text().split("\n"))),
        (model_text().replace("[matchers]", "[match\u0435rs]").encode(), line_of(model_text(), "[matchers]")),
        (model_text().encode() + b"\n#" * 64 * 1024, 1),
    ],
)
def test_a_model_in_another_encoding_or_too_large_is_refused(directory: Path, data: bytes, line: int) -> None:
    (directory / "model.conf").write_bytes(data)
    assert refused_directory(directory) == [("model.conf", line)]


def test_a_model_that_cannot_be_read_is_refused(directory: Path) -> None:
    (directory / "model.conf").mkdir()
    assert refused_directory(directory) == [("model.conf", 1)]


def test_the_shipped_default_holds_the_three_generic_rules() -> None:
    bundle = shipped_default()
    assert [", ".join(to_fields(row)) for row in bundle.rows] == [
        "p, *, *, *, read, owner, *, -, -, allow",
        "p, *, *, *, read, reader, *, -, -, allow",
        "p, *, *, *, *, denied, *, -, -, deny",
    ]
    assert bundle.labels == ()
