"""What a label is, when two are the same, and when one is lower than another.

Promise: a label in this module is always whole and canonical; what is not
raises :class:`InvalidLabel` and makes no object. Nothing here knows a file, a
store or a clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import identifiers
from .errors import InvalidIdentifier, InvalidLabel

LEVEL_MAX = 9
"""Highest clearance level; levels are integers from 0."""

EVERYBODY = "*"
"""In `readers`: everybody the policy knows in the label's tenant. In `purposes`: any purpose."""

FIELDS = (
    "tenant",
    "owner",
    "readers",
    "denied",
    "level",
    "compartments",
    "purposes",
    "valid_from",
    "valid_until",
)


@dataclass(frozen=True, slots=True)
class Label:
    """An ACL object: who owns it, who reads, who never does, and what a reader must hold.

    Args:
        tenant: The only tenant whose subjects can read under it.
        owner: A principal of that tenant.
        readers: Principals, or `*` for everybody the policy knows in the tenant.
        denied: Principals whom the policy's rule on `denied` keeps out, whatever else allows them; the shipped
            policies hold that rule.
        level: Clearance a reader needs, 0 to 9.
        compartments: A reader must hold all of them.
        purposes: The purposes it may be read for; `*` means any.
        valid_from: UTC, inclusive.
        valid_until: UTC, exclusive.

    Raises:
        InvalidLabel: A field is malformed or contradicts another. No label is made.
    """

    tenant: str
    owner: str
    readers: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    level: int = 0
    compartments: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset({EVERYBODY})
    valid_from: str = identifiers.TIME_MIN
    valid_until: str = identifiers.TIME_MAX

    def __post_init__(self) -> None:
        try:
            self._check()
        except InvalidIdentifier as error:
            raise InvalidLabel(f"label: {error}") from error

    def _check(self) -> None:
        for name in ("readers", "denied", "compartments", "purposes"):
            if type(getattr(self, name)) is not frozenset:
                raise InvalidLabel(
                    f"label: found {name} of type {type(getattr(self, name)).__name__}; expected a frozenset; "
                    "Label.from_mapping takes lists"
                )
        identifiers.tenant(self.tenant)
        self._check_principal("owner", self.owner)
        for name in sorted(self.readers - {EVERYBODY}):
            self._check_principal("readers", name)
        if EVERYBODY in self.denied:
            raise InvalidLabel("label: found denied '*'; expected principals; leave readers empty instead")
        for name in sorted(self.denied):
            self._check_principal("denied", name)
        if type(self.level) is not int or not 0 <= self.level <= LEVEL_MAX:
            raise InvalidLabel(
                f"label: found level {self.level!r}; expected an integer from 0 to {LEVEL_MAX}"
            )
        identifiers.words(self.compartments, "compartment")
        if not self.purposes:
            raise InvalidLabel("label: found no purpose; expected at least one; write '*' for any")
        identifiers.words(self.purposes - {EVERYBODY}, "purpose")
        identifiers.time(self.valid_from, "valid_from")
        identifiers.time(self.valid_until, "valid_until")
        if self.valid_from >= self.valid_until:
            raise InvalidLabel(
                f"label: found valid_from {self.valid_from!r} not before valid_until {self.valid_until!r}"
            )

    def _check_principal(self, what: str, name: object) -> None:
        checked = identifiers.principal(name)
        if identifiers.tenant_of(checked) != self.tenant:
            raise InvalidLabel(
                f"label: found {what} {checked!r} in tenant {self.tenant!r}; "
                "expected a principal of the label's own tenant; one label never joins two tenants"
            )

    def to_mapping(self) -> dict[str, object]:
        """Return the fields as JSON-ready values, sets sorted."""
        values: dict[str, object] = {}
        for name in FIELDS:
            value = getattr(self, name)
            values[name] = sorted(value) if isinstance(value, frozenset) else value
        return values

    def canonical_bytes(self) -> bytes:
        """Return the one byte string that stands for this label's value."""
        return json.dumps(
            self.to_mapping(), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        ).encode()

    @classmethod
    def from_mapping(cls, fields: Mapping[str, object], *, tenant: str | None = None) -> Label:
        """Return the label a mapping of plain values describes.

        Args:
            fields: Keys of :data:`FIELDS`; sets may be lists; absent ones take their default.
            tenant: Used when `fields` has none; else the owner's tenant is.

        Raises:
            InvalidLabel: An unknown key, a wrong type, or a malformed value.
        """
        unknown = sorted(set(map(str, fields)) - set(FIELDS))
        if unknown:
            raise InvalidLabel(
                f"label: found unknown fields {unknown!r}; expected some of {', '.join(FIELDS)}"
            )
        values = {str(name): _plain(str(name), value) for name, value in fields.items()}
        owner = values.get("owner")
        if not isinstance(owner, str):
            raise InvalidLabel("label: found no owner; expected a principal such as acme/user:dora")
        values.setdefault("tenant", tenant if tenant is not None else identifiers.tenant_of(owner))
        return cls(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class NamedLabel:
    """A label with a name: it can be redefined, with history; the name stays.

    Args:
        name: `tenant/label:name`, of the definition's own tenant.
        definition: What it means now.
    """

    name: str
    definition: Label

    def __post_init__(self) -> None:
        identifiers.label_name(self.name)
        if identifiers.tenant_of(self.name) != self.definition.tenant:
            raise InvalidLabel(
                f"label {self.name!r}: found a definition of tenant {self.definition.tenant!r}; expected its own"
            )


@dataclass(frozen=True, slots=True)
class LabelEntry:
    """One row of the label table at one catalog sequence.

    Args:
        atom: The integer that stands for it in storage, int32, from 1.
        label_id: `tenant/label:name` if named, else `tenant/label:~hex`. Never shown to readers.
        definition: What it means now; None for a compound label.
        parts: Label ids of a compound label's parts; empty otherwise.

    Raises:
        InvalidLabel: The id is not of the definition's tenant.
    """

    atom: int
    label_id: str
    definition: Label | None
    parts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        # What is decided of one label reads the id, what is decided of all reads the definition.
        if self.definition is not None and not self.label_id.startswith(f"{self.definition.tenant}/label:"):
            raise InvalidLabel(
                f"label {self.label_id!r}: found a definition of tenant {self.definition.tenant!r}; expected its own"
            )

    @property
    def named(self) -> bool:
        """Whether a user gave it a name."""
        return "/label:~" not in self.label_id

    @property
    def tenant(self) -> str:
        """The tenant of the label and all its parts."""
        return identifiers.tenant_of(self.label_id)


def lowering(new: Label, old: Label) -> tuple[str, ...]:
    """Say in which ways `new` is lower than `old`: empty means *not lower*.

    The rules that name either label directly are the policy's to compare; this
    compares the values alone.

    Source: DESIGN.md §3, *lowering*.
    """
    reasons: list[str] = []
    if new.tenant != old.tenant:
        reasons.append(f"tenant {old.tenant} becomes {new.tenant}")
    if new.owner != old.owner:
        reasons.append(f"owner {old.owner} becomes {new.owner}")
    if added := sorted(_readers_gained(new, old)):
        reasons.append(f"readers gain {', '.join(added)}")
    if lost := sorted(old.denied - new.denied):
        reasons.append(f"denied lose {', '.join(lost)}")
    if new.level < old.level:
        reasons.append(f"level falls from {old.level} to {new.level}")
    if missing := sorted(old.compartments - new.compartments):
        reasons.append(f"compartments lose {', '.join(missing)}")
    if EVERYBODY not in old.purposes and (more := sorted(new.purposes - old.purposes)):
        reasons.append(f"purposes gain {', '.join(more)}")
    if new.valid_from < old.valid_from or new.valid_until > old.valid_until:
        reasons.append("validity grows")
    return tuple(reasons)


def _readers_gained(new: Label, old: Label) -> frozenset[str]:
    gained = new.readers - old.readers
    if EVERYBODY not in old.readers:
        return gained
    # Who is in a group or role is known to the policy, so everybody held him; a user may be named unknown.
    return frozenset(name for name in gained if identifiers.kind_of(name) in identifiers.ACTOR_KINDS)


def flatten(entries: Iterable[LabelEntry]) -> frozenset[str]:
    """Return the ids of all parts of the given labels: the compound label's own parts.

    Raises:
        InvalidLabel: Parts of two tenants, or none.
    """
    parts: set[str] = set()
    for entry in entries:
        parts |= entry.parts or {entry.label_id}
    tenants = {identifiers.tenant_of(part) for part in parts}
    if len(tenants) != 1:
        raise InvalidLabel(
            f"compound label: found parts of {len(tenants)} tenants; expected one; "
            "what comes from two tenants is refused"
        )
    return frozenset(parts)


def _plain(name: str, value: object) -> object:
    if name in ("readers", "denied", "compartments", "purposes"):
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise InvalidLabel(f"label: found {name} {value!r}; expected a list")
        items = list(value)
        if not all(isinstance(item, str) for item in items):
            raise InvalidLabel(f"label: found {name} {value!r}; expected a list of text")
        return frozenset(items)
    if name == "level":
        return value
    if not isinstance(value, str):
        raise InvalidLabel(f"label: found {name} {value!r}; expected text; quote times in YAML")
    return value
