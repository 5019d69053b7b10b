"""Real stores on disk, sealed and as durable as any, with policies of any size and one right that comes and goes.

Promise: made by the product's own functions, with its defaults; a store's key lies in the run's own folder.
"""

from __future__ import annotations

from pathlib import Path

from bench.policy_world import world
from ringfence_governance import store_files
from ringfence_governance.ambient import Ambient
from ringfence_governance.ground import Ground
from ringfence_governance.identifiers import TIME_MAX, TIME_MIN
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_rows import Rule
from ringfence_governance.policy_text import PolicyBundle, shipped_default
from ringfence_governance.subjects import Subject

from .plan import SEED

TENANT = "t0"
ADMIN = Subject("t0/user:admin")
VISITOR = Subject("t0/user:visitor")
WATCHED = NamedLabel("t0/label:watched", Label(TENANT, ADMIN.person))
RIGHT = Rule(VISITOR.person, TENANT, WATCHED.name, "read", "any", "*", TIME_MIN, TIME_MAX, "allow")
"""The one right of a visitor that is given and taken back."""

LABELS = 60
PEOPLE_SHARE = 50
"""Rules for each person: with so few people, nearly every journal row is a rule."""


def default_bundle() -> PolicyBundle:
    """Return the shipped default policy and the watched label."""
    return PolicyBundle(shipped_default().rows, (WATCHED,), "benchmark")


def bundle_of(rules: int) -> PolicyBundle:
    """Return a policy of so many rules, few labels, and the watched one; the default one for 0."""
    if not rules:
        return default_bundle()
    made = world(LABELS, rules, SEED, per_person=PEOPLE_SHARE)
    return PolicyBundle(made.rows(), (*made.named_labels(), WATCHED), "benchmark")


def make(folder: Path, bundle: PolicyBundle) -> Ground:
    """Make a store beneath a folder; return it open."""
    folder.mkdir(parents=True)
    return store_files.create(
        folder / "store", bundle, ADMIN.person, Ambient(), keys_home=folder / "keys"
    ).ground


def opened(folder: Path) -> Ground:
    """Open the store that :func:`make` made beneath a folder."""
    return store_files.open_store(folder / "store", Ambient(), keys_home=folder / "keys")
