"""What is asked of the policy, and what it answers: plain data.

Promise: nothing here decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import identifiers
from .errors import InvalidInput
from .labels import Label
from .policy_rows import Rule

DecisionReason = Literal["allow", "deny", "no rule", "error"]


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the policy, about one actor and one label.

    Args:
        actor: A user, agent or service.
        object_id: The label's id, or `tenant/policy`.
        label: What the label means now; None for a policy object.
        action: One of the policy's actions, except `delegate`.
        purpose: One word, or empty for none.
        now: UTC, `YYYY-MM-DDTHH:MM:SSZ`.
        carried: Whether the actor is a later one of a chain, and not the person at its root.
    """

    actor: str
    object_id: str
    label: Label | None
    action: str
    purpose: str
    now: str
    carried: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A request without its label: what is asked of all labels at once. Fields as of :class:`Request`."""

    actor: str
    action: str
    purpose: str
    now: str
    carried: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and the one rule Casbin names for it.

    Args:
        allowed: Whether the policy grants it.
        rule: The rule that denies, or one of those that allow; None if none matched, or on an error.
        reason: `no rule` is the default deny; `error` a malformed request or a failure while deciding.
    """

    allowed: bool
    rule: Rule | None
    reason: DecisionReason


def policy_object(tenant: str) -> str:
    """Return the object that stands for a tenant's policy itself, `tenant/policy`."""
    return f"{tenant}/policy"


def checked(request: Request) -> Request:
    """Return the request if each field is of its exact type and canonical form.

    Exact types matter: a text whose `==` always says yes would match every rule.

    Raises:
        InvalidInput: It is not.
    """
    check_asked(request)
    if type(request.object_id) is not str:
        raise InvalidInput(f"request: found {type(request.object_id).__name__}; expected text")
    _check_object(request)
    return request


def check_asked(asked: Asked | Request) -> None:
    """Hold what is asked, apart from the label, to its exact types and canonical form.

    Raises:
        InvalidInput: It is not so.
    """
    for value in (asked.actor, asked.action, asked.purpose, asked.now):
        if type(value) is not str:
            raise InvalidInput(f"request: found {type(value).__name__}; expected text")
    if type(asked.carried) is not bool:
        raise InvalidInput(f"request: found carried {asked.carried!r}; expected True or False")
    identifiers.actor(asked.actor)
    identifiers.time(asked.now, "now")
    if asked.purpose:
        identifiers.word(asked.purpose, "purpose")


def _check_object(request: Request) -> None:
    tenant, _, name = request.object_id.partition("/")
    if request.label is None:
        if name != "policy":
            raise InvalidInput(
                f"request: found {request.object_id!r} without a label; expected tenant/policy"
            )
    elif type(request.label) is not Label or request.label.tenant != tenant or not name.startswith("label:"):
        raise InvalidInput(f"request: found {request.object_id!r} with a label that is not its own")
