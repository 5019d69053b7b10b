"""Say whether a name is in canonical form, and what its parts are.

Promise: two names are the same subject, label or set only if they are the
same bytes. Nothing is folded: a name with upper case, blanks, zero-width or
look-alike letters is refused, so it can never alias another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .errors import InvalidIdentifier

PRINCIPAL_KINDS = frozenset({"user", "group", "role", "agent", "service"})
ACTOR_KINDS = frozenset({"user", "agent", "service"})
OBJECT_KINDS = frozenset({"label", "set"})
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
NAME = re.compile(r"[a-z0-9_][a-z0-9._@+=-]{0,126}", re.ASCII)
ANONYMOUS_NAME = re.compile(r"~[0-9a-f]{32}", re.ASCII)
WORD = re.compile(r"[a-z0-9][a-z0-9-]{0,62}", re.ASCII)
TIME = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z", re.ASCII
)

TIME_MIN = "0000-01-01T00:00:00Z"
TIME_MAX = "9999-12-31T23:59:59Z"

_FORM = "ids are lower-case ASCII, written tenant/kind:name"


def principal(text: object) -> str:
    """Return `text` if it names a user, group, role, agent or service.

    Raises:
        InvalidIdentifier: Not canonical, or of another kind.
    """
    return _typed(text, PRINCIPAL_KINDS, "a user, group, role, agent or service", "acme/user:dora")


def actor(text: object) -> str:
    """Return `text` if it names somebody who can ask: a user, agent or service.

    Raises:
        InvalidIdentifier: Not canonical, or of another kind.
    """
    return _typed(text, ACTOR_KINDS, "a user, agent or service", "acme/user:dora")


def label_name(text: object) -> str:
    """Return `text` if it is the name of a named label, `tenant/label:name`.

    Raises:
        InvalidIdentifier: Not canonical, or not a label's name.
    """
    return _typed(text, frozenset({"label"}), "a label's name", "acme/label:payroll")


def word(text: object, what: str) -> str:
    """Return `text` if it is one lower-case word: a compartment or a purpose.

    Raises:
        InvalidIdentifier: Anything else.
    """
    if isinstance(text, str) and WORD.fullmatch(text):
        return text
    raise InvalidIdentifier(
        f"{what}: found {text!r}; expected a lower-case word of a-z, 0-9 and '-' of at most 63 characters"
    )


def tenant(text: object) -> str:
    """Return `text` if it is a tenant's name.

    Raises:
        InvalidIdentifier: Anything else.
    """
    if isinstance(text, str) and TENANT.fullmatch(text):
        return text
    raise InvalidIdentifier(
        f"tenant: found {text!r}; expected lower-case a-z, 0-9 and '-' of at most 63 characters"
    )


def time(text: object, what: str) -> str:
    """Return `text` if it is a UTC time of fixed width, so that comparing text compares time.

    Raises:
        InvalidIdentifier: Anything else.
    """
    if isinstance(text, str) and TIME.fullmatch(text):
        return text
    raise InvalidIdentifier(f"{what}: found {text!r}; expected UTC time as 2026-01-31T00:00:00Z")


def tenant_of(identifier: str) -> str:
    """Return the tenant of a canonical identifier."""
    return identifier.partition("/")[0]


def kind_of(identifier: str) -> str:
    """Return the kind of a canonical identifier: user, group, label …"""
    return identifier.partition("/")[2].partition(":")[0]


def words(values: Iterable[object], what: str) -> frozenset[str]:
    """Return the set of words, each checked by :func:`word`."""
    return frozenset(word(value, what) for value in values)


def is_canonical(text: object, kinds: frozenset[str]) -> bool:
    """Say whether `text` is a canonical identifier of one of `kinds`."""
    # Exactly text: a class of text that compares as it likes could alias another name.
    if type(text) is not str:
        return False
    tenant_text, slash, rest = text.partition("/")
    kind, colon, name = rest.partition(":")
    return bool(slash and colon and kind in kinds and TENANT.fullmatch(tenant_text) and NAME.fullmatch(name))


def _typed(text: object, kinds: frozenset[str], what: str, example: str) -> str:
    if is_canonical(text, kinds):
        return str(text)
    raise InvalidIdentifier(f"found {text!r}; expected {what}; {_FORM}, as in {example}")
