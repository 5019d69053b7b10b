from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence_governance import identifiers
from ringfence_ingest.mail_readers import header_principals

DOMAINS = {"acme.example": "acme", "globex.example": "globex"}


def people(*headers: str) -> list[str]:
    content = "\r\n".join([*headers, "", "To: body@acme.example"]).encode("utf-8", "surrogateescape")
    return sorted(header_principals(content, DOMAINS, "acme"))


def test_from_to_and_cc_name_people() -> None:
    assert people(
        "From: Ada <ada@acme.example>",
        "To: carl@acme.example, Dora <dora@acme.example>",
        "Cc: eve@acme.example",
    ) == ["acme/user:ada", "acme/user:carl", "acme/user:dora", "acme/user:eve"]


@pytest.mark.parametrize(
    "header",
    [
        "Bcc: ada@acme.example",
        "Reply-To: ada@acme.example",
        "X-To: ada@acme.example",
        "Subject: ada@acme.example",
        "To: ada@globex.example",
        "To: ada@elsewhere.example",
        "To: ada@sub.acme.example",
        "To: ada@acme.example.evil.example",
        "To: Ada@acme.example",
        "To: ädä@acme.example",
        "To: \u0430da@acme.example",
        'To: "ada@acme.example" <mallory@evil.example>',
        "To: a@b@acme.example",
        "To: =?utf-8?q?ada=40acme.example?=",
        "To: undisclosed-recipients:;",
        "To:",
        "To: @acme.example",
        "To: /@acme.example",
        "To: ../x@acme.example",
        "To: " + "(" * 5000 + "ada@acme.example",
    ],
)
def test_these_name_nobody(header: str) -> None:
    assert people(header) == []


def test_the_domains_case_does_not_count_but_the_names_does() -> None:
    assert people("To: ada@ACME.Example, Carl@acme.example") == ["acme/user:ada"]


def test_folded_and_repeated_headers_are_read() -> None:
    assert people("To: ada@acme.example,\r\n carl@acme.example", "To: dora@acme.example") == [
        "acme/user:ada",
        "acme/user:carl",
        "acme/user:dora",
    ]


def test_the_body_names_nobody() -> None:
    assert people("Subject: x") == []


def test_too_many_people_are_nobody() -> None:
    crowd = ", ".join(f"u{number}@acme.example" for number in range(1001))
    assert people(f"To: {crowd}") == []
    assert len(people(f"To: {crowd.rpartition(',')[0]}")) == 1000


def test_endless_headers_are_not_read() -> None:
    started = time.monotonic()
    assert people("To: ada@acme.example", "X: " + "y" * 1_000_000) == []
    assert header_principals(b"To: ada@acme.example\n" * 1_000_000, DOMAINS, "acme") == frozenset()
    assert time.monotonic() - started < 5


def test_without_a_mapped_domain_nobody_is_named() -> None:
    content = b"To: ada@acme.example\n\n"
    assert header_principals(content, {}, "acme") == frozenset()
    assert header_principals(content, {"acme.example": "globex"}, "acme") == frozenset()


@given(st.binary(max_size=300))
def test_garbage_survives(garbage: bytes) -> None:
    found = header_principals(b"From: " + garbage, DOMAINS, "acme")
    assert all(identifiers.principal(name).startswith("acme/user:") for name in found)
