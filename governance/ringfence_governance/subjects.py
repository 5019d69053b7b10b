"""Who asks: a person or service, the agents that carry the request, and the purpose.

Promise: a subject holds names only. Groups, clearance and compartments are
looked up in the policy, never taken from the caller.
"""

from __future__ import annotations

import getpass
import os
import socket
from dataclasses import dataclass

from . import identifiers
from .errors import InvalidIdentifier

CHAIN_MAX = 8
"""Longest chain of actors in one request, the person included."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks, and through whom.

    Args:
        person: The root of the chain, judged by all rules.
        via: Later actors, nearest to the person first; each can only take away.
        purpose: One word, or empty for none.

    Raises:
        InvalidIdentifier: A name is not canonical, or the chain is too long.
    """

    person: str
    via: tuple[str, ...] = ()
    purpose: str = ""

    def __post_init__(self) -> None:
        identifiers.actor(self.person)
        for name in self.via:
            identifiers.actor(name)
        if 1 + len(self.via) > CHAIN_MAX:
            raise InvalidIdentifier(f"chain: found {1 + len(self.via)} actors; expected at most {CHAIN_MAX}")
        if self.purpose:
            identifiers.word(self.purpose, "purpose")

    @property
    def tenant(self) -> str:
        """The tenant of the person at the root."""
        return identifiers.tenant_of(self.person)

    @property
    def chain(self) -> tuple[str, ...]:
        """All actors, the person first."""
        return (self.person, *self.via)


@dataclass(frozen=True, slots=True)
class Assertion:
    """Who vouches that the subject is who it says: in process, whoever holds the key."""

    os_user: str
    host: str
    process: int

    @classmethod
    def of_this_process(cls) -> Assertion:
        """Return the operating-system user, host and process id asserting subjects here."""
        return cls(os_user=operating_system_user(), host=socket.gethostname(), process=os.getpid())

    def to_mapping(self) -> dict[str, object]:
        """Return the fields for a record."""
        return {"os_user": self.os_user, "host": self.host, "process": self.process}


def operating_system_user() -> str:
    """Return the login name of this process's user, or `uid-N` where there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def local_user() -> str:
    """Return the subject of this process's operating-system user, `local/user:NAME`.

    Raises:
        InvalidIdentifier: The login name is not canonical; name the subject instead.
    """
    return identifiers.actor(f"local/user:{operating_system_user()}")
