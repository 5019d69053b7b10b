from __future__ import annotations

import time

import pytest

from ringfence_ingest.errors import LabelFileRefused
from ringfence_ingest.label_files import parse_label_file

GOOD = b"""
version: 1
rules:
  - glob: "hr/**"
    label: acme/label:payroll
  - glob: "mail/*.mbox"
    owner: acme/user:carl
    readers: []
    valid_from: 2026-01-01T00:00:00Z
    headers: readers
  - glob: "**"
    level: 2
mail:
  domains: {acme.example: acme}
"""


def test_a_good_file_gives_its_rules_in_order() -> None:
    file = parse_label_file(GOOD, "")
    assert file.is_root
    assert [str(rule.glob) for rule in file.rules] == ["hr/**", "mail/*.mbox", "**"]
    assert file.rules[0].label == "acme/label:payroll"
    assert file.rules[1].fields == {
        "owner": "acme/user:carl",
        "readers": [],
        "valid_from": "2026-01-01T00:00:00Z",
    }
    assert file.rules[1].headers
    assert not file.rules[2].headers
    assert file.domains == {"acme.example": "acme"}


def test_the_first_match_wins_and_paths_are_relative_to_the_file() -> None:
    root = parse_label_file(GOOD, "")
    first, second = root.first_match("hr/a.md"), root.first_match("x/hr/a.md")
    assert first is not None
    assert first.where == ".ringfence.yaml rule 1"
    assert second is not None
    assert second.where == ".ringfence.yaml rule 3"
    inner = parse_label_file(b"version: 1\nrules: [{glob: '*.md', level: 1}]\n", "hr")
    found = inner.first_match("hr/a.md")
    assert found is not None
    assert found.where == "hr/.ringfence.yaml rule 1"
    assert inner.first_match("a.md") is None
    assert inner.first_match("hr/x/a.md") is None
    assert inner.first_match("hrx/a.md") is None


def test_an_empty_list_of_rules_gives_nothing() -> None:
    assert parse_label_file(b"version: 1\n", "").first_match("a") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found nothing; expected a mapping"),
        ("- a", "found a list"),
        ("rules: []", "found version None; expected 1"),
        ("version: 2", "found version 2; expected 1"),
        ("version: '1'", "found version '1'"),
        ("version: true", "found version True"),
        ("version: 1\nrule: []", "found unknown 'rule'; expected some of version, rules, mail"),
        ("version: 1\nrules: {a: 1}", "found rules that are a dict"),
        ("version: 1\nrules: [a]", "rule 1: found 'a'"),
        ("version: 1\nrules: [{label: acme/label:a}]", "rule 1: found no glob"),
        ("version: 1\nrules: [{glob: 'a'}]", "rule 1: found a glob and no label"),
        ("version: 1\nrules: [{glob: '../a', level: 1}]", "rule 1: glob: found '../a'"),
        ("version: 1\nrules: [{glob: a, reader: []}]", "found unknown 'reader'"),
        ("version: 1\nrules: [{glob: a, tenant: acme, level: 1}]", "found unknown 'tenant'"),
        ("version: 1\nrules: [{glob: a, label: payroll}]", "found 'payroll'; expected a label's name"),
        ("version: 1\nrules: [{glob: a, label: ACME/label:x}]", "found 'ACME/label:x'"),
        ("version: 1\nrules: [{glob: a, label: acme/label:x, level: 1}]", "found label and level"),
        (
            "version: 1\nrules: [{glob: a, label: acme/label:x, headers: readers}]",
            "found label and headers",
        ),
        ("version: 1\nrules: [{glob: a, level: 1, headers: owner}]", "found headers 'owner'"),
        ("version: 1\nmail: {domains: {Acme.example: acme}}", "found domain 'Acme.example'"),
        ("version: 1\nmail: {domains: {acme.example: ACME}}", "domain acme.example"),
        ("version: 1\nmail: {domain: {}}", "found unknown 'domain'"),
        ("version: 1\nmail: []", "found mail []"),
        ("version: 1\nversion: 1", ":2: found a key given twice"),
        ("version: 1\nrules: &a []\nmail: *a", "found an alias"),
        ("version: 1\n1: 2", "found a key that is not text"),
        ("version: !!python/name:os.system 1", "expected plain YAML"),
        ("version: 1\n---\nversion: 1", "expected plain YAML"),
        ("version: 1\n\trules: []", "expected plain YAML"),
        ("[" * 5000, "expected plain YAML"),
    ],
)
def test_a_malformed_file_is_refused_with_what_to_do(text: str, message: str) -> None:
    with pytest.raises(LabelFileRefused) as refused:
        parse_label_file(text.encode(), "")
    assert str(refused.value).startswith(".ringfence.yaml")
    assert message in str(refused.value)


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    started = time.monotonic()
    with pytest.raises(LabelFileRefused, match="alias"):
        parse_label_file("\n".join(lines).encode(), "")
    assert time.monotonic() - started < 1


def test_bytes_that_are_not_utf8_and_files_too_large_are_refused() -> None:
    with pytest.raises(LabelFileRefused, match=r"hr/.ringfence.yaml: found a byte at 0 that is not UTF-8"):
        parse_label_file(b"\xff\xfe", "hr")
    with pytest.raises(LabelFileRefused, match="expected at most"):
        parse_label_file(b"#" * 2_000_000, "")


def test_only_the_roots_file_says_whose_mail_is_whose() -> None:
    with pytest.raises(LabelFileRefused, match="expected it only in the source root's"):
        parse_label_file(b"version: 1\nmail: {domains: {evil.example: acme}}", "inner")
