"""Say which principals a mail's headers name.

Promise: only addresses of domains that the source root's `.ringfence.yaml`
maps to the label's own tenant, whose local part is canonical as written,
become principals. Malformed headers give fewer, never others. Bcc is never
read: a copy that holds it must not tell its readers who else got one.

What headers say is the sender's claim. It can add readers to the sender's own
mail and do nothing else.
"""

from __future__ import annotations

import email.policy
import re
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

from ringfence_governance import identifiers

from .limits import MAIL_HEADER_BYTES_MAX, MAIL_PEOPLE_MAX

PEOPLE_HEADERS = ("From", "To", "Cc")

_ADDRESS = re.compile(r"([^\s@<>\"(),:;\\\[\]]+)@([A-Za-z0-9.-]+)", re.ASCII)


def header_principals(content: bytes, domains: Mapping[str, str], tenant: str) -> frozenset[str]:
    """Return the users of `tenant` whom From, To and Cc name.

    Args:
        content: The mail's bytes.
        domains: Mail domain, lower case, to tenant.
        tenant: The label's; addresses of others are ignored.

    Returns:
        Canonical ids; empty if the headers are beyond the bounds of `limits.py`.
    """
    if tenant not in domains.values():
        return frozenset()
    head = _head(content)
    if head is None:
        return frozenset()
    message = BytesHeaderParser(policy=email.policy.compat32).parsebytes(head)
    addresses = _addresses(message)
    if len(addresses) > MAIL_PEOPLE_MAX:
        return frozenset()
    found = {_principal(address, domains, tenant) for address in addresses}
    return frozenset(name for name in found if name is not None)


def _head(content: bytes) -> bytes | None:
    """Return the bytes up to the first empty line, or None if they are too many."""
    end = re.search(rb"\r?\n\r?\n", content[: MAIL_HEADER_BYTES_MAX + 4])
    if end is not None:
        return content[: end.end()]
    return content if len(content) <= MAIL_HEADER_BYTES_MAX else None


def _addresses(message: Message) -> list[str]:
    values = [str(value) for name in PEOPLE_HEADERS for value in message.get_all(name, [])]
    return [address for value in values for address in _addresses_of(value)]


def _addresses_of(value: str) -> list[str]:
    try:
        return [address for _, address in getaddresses([value])]
    except RecursionError:
        # Thousands of nested comments: nobody writes to people like this, so it names nobody.
        return []


def _principal(address: str, domains: Mapping[str, str], tenant: str) -> str | None:
    match = _ADDRESS.fullmatch(address)
    if match is None or domains.get(match[2].lower()) != tenant:
        return None
    name = f"{tenant}/user:{match[1]}"
    return name if identifiers.is_canonical(name, identifiers.PRINCIPAL_KINDS) else None
