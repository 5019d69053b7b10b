"""Say what is wrong with one field of a policy row.

Promise: what a function here does not complain of is canonical. A complaint is
three texts: what was found, what was expected, what to do; what was found is
shown in ASCII, so that a hidden or look-alike letter is seen.
"""

from __future__ import annotations

from collections.abc import Callable

from . import identifiers
from .errors import InvalidIdentifier

ACTIONS = frozenset(
    {
        "read",
        "ingest",
        "relabel_from",
        "relabel_to",
        "declassify",
        "delete",
        "audit",
        "administer",
        "delegate",
    }
)
RELATIONS = frozenset({"any", "owner", "reader", "denied"})
EFFECTS = frozenset({"allow", "deny"})
ANY = "*"
UNBOUNDED = "-"
"""In a field: no time bound, or no compartment."""

Problem = tuple[str, str, str]
"""Found, expected, do."""


def identifier_problem(what: str, text: object, kinds: frozenset[str]) -> list[Problem]:
    """Say whether `text` is a canonical identifier of one of the kinds."""
    if identifiers.is_canonical(text, kinds):
        return []
    expected = f"tenant/kind:name of kind {', '.join(sorted(kinds))}"
    return [(f"{what} {text!a}", expected, "ids are lower-case ASCII and never folded; write it so")]


def object_problem(text: object) -> list[Problem]:
    """Say whether `text` is the name of a label or of a set."""
    if identifiers.is_canonical(text, identifiers.OBJECT_KINDS):
        return []
    if isinstance(text, str) and "/label:~" in text:
        return [
            (
                f"obj {text!a}",
                "a label with a name",
                "an anonymous label is never named in a rule; name it",
            )
        ]
    expected = "'*', tenant/label:name, tenant/set:name or tenant/policy"
    return [(f"obj {text!a}", expected, "ids are lower-case ASCII and never folded; write it so")]


def is_policy_object(text: object) -> bool:
    """Say whether `text` is `tenant/policy`, the object of what concerns the policy itself."""
    if not isinstance(text, str):
        return False
    tenant, slash, name = text.partition("/")
    return bool(slash) and name == "policy" and identifiers.TENANT.fullmatch(tenant) is not None


def tenant_problem(text: object) -> list[Problem]:
    """Say whether `text` is a tenant."""
    return _checked(
        lambda: identifiers.tenant(text), f"dom {text!a}", "a tenant or '*'", "tenants are lower case"
    )


def word_problem(what: str, text: object) -> list[Problem]:
    """Say whether `text` is one lower-case word."""
    do = "words are a-z, 0-9 and '-'"
    return _checked(lambda: identifiers.word(text, what), f"{what} {text!a}", "a lower-case word", do)


def time_problem(what: str, text: object) -> list[Problem]:
    """Say whether `text` is a UTC time of fixed width."""
    expected = "UTC time as 2026-01-31T00:00:00Z"
    return _checked(
        lambda: identifiers.time(text, what), f"{what} {text!a}", expected, "write - for unbounded"
    )


def choice_problem(what: str, text: object, choices: frozenset[str]) -> list[Problem]:
    """Say whether `text` is one of the choices."""
    if isinstance(text, str) and text in choices:
        return []
    expected = "one of " + ", ".join(map(repr, sorted(choices)))
    close = text.strip().lower() if isinstance(text, str) else ""
    do = (
        f"rules are case-sensitive, write {close}"
        if close in choices
        else "rules are case-sensitive, write one of these"
    )
    return [(f"{what} {text!a}", expected, do)]


def _checked(check: Callable[[], object], found: str, expected: str, do: str) -> list[Problem]:
    try:
        check()
    except InvalidIdentifier:
        return [(found, expected, do)]
    return []
