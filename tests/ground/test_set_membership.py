"""Which sets a label is in decides who reads under it: to open it that way needs `declassify`, like any lowering."""

from __future__ import annotations

import pytest

from ringfence_governance.errors import PolicyRefused, Refused

from .worlds import ADMIN, POLICY, World, bundle, make_world

BOB, HAL = "acme/user:bob", "acme/user:hal"
PAYROLL, SALARIES = "acme/label:payroll", "pay/salaries.txt"
OPEN, CLOSED, PLAIN = "acme/set:open", "acme/set:closed", "acme/set:plain"
ALLOWS = ("p", "acme/group:sales", "acme", OPEN, "read", "any", "*", "-", "-", "allow")
DENIES = ("p", "acme/group:hr", "acme", CLOSED, "read", "any", "*", "-", "-", "deny")
DECLASSIFIES = ("p", ADMIN, "acme", PAYROLL, "declassify", "any", "*", "-", "-", "allow")


@pytest.fixture
def sets(filled: World) -> World:
    """A set that sales may read, one that hr may not, and one no rule names."""
    filled.add(*ALLOWS)
    filled.add(*DENIES)
    return filled


def refused(world: World, sequence: int) -> None:
    assert world.ground.moment().sequence == sequence
    record = world.records()[-1]
    assert (record["action"], record["outcome"]) == ("declassify", "refused")
    assert "payroll" not in str(record)


def test_to_put_a_label_into_a_set_that_a_rule_allows_needs_declassify(sets: World) -> None:
    sequence = sets.ground.moment().sequence
    with pytest.raises(Refused, match=r"it joins acme/set:open, which a rule allows"):
        sets.add("g2", PAYROLL, OPEN)
    refused(sets, sequence)
    assert SALARIES not in sets.see(BOB).paths
    sets.add(*DECLASSIFIES)
    assert sets.add("g2", PAYROLL, OPEN)
    assert SALARIES in sets.see(BOB).paths
    assert SALARIES in sets.second().see(BOB).paths


def test_to_take_a_label_out_of_a_set_that_a_rule_denies_needs_declassify(sets: World) -> None:
    assert sets.add("g2", PAYROLL, CLOSED)
    assert SALARIES not in sets.see(HAL).paths
    sequence = sets.ground.moment().sequence
    with pytest.raises(Refused, match=r"it leaves acme/set:closed, which a rule denies"):
        sets.remove("g2", PAYROLL, CLOSED)
    refused(sets, sequence)
    sets.add(*DECLASSIFIES)
    assert sets.remove("g2", PAYROLL, CLOSED)
    assert SALARIES in sets.see(HAL).paths


def test_what_only_closes_needs_administer_alone(sets: World) -> None:
    assert sets.add("g2", PAYROLL, CLOSED)
    assert sets.add("g2", PAYROLL, PLAIN)
    assert sets.remove("g2", PAYROLL, PLAIN)
    sets.add(*DECLASSIFIES)
    sets.add("g2", PAYROLL, OPEN)
    sets.remove(*DECLASSIFIES)
    assert sets.remove("g2", PAYROLL, OPEN)
    assert SALARIES not in sets.see(BOB).paths


def test_a_grant_on_a_set_needs_administer_alone(sets: World) -> None:
    """To give rights is what administer is for; the rule says itself to whom."""
    assert sets.add("g2", PAYROLL, PLAIN)
    assert sets.add("p", BOB, "acme", PLAIN, "read", "any", "*", "-", "-", "allow")
    assert SALARIES in sets.see(BOB).paths


def test_declassify_alone_moves_no_label(sets: World) -> None:
    with pytest.raises(Refused, match="may not administer"):
        sets.add("g2", PAYROLL, OPEN, who="acme/user:dex")


def test_a_label_that_is_not_defined_is_told_before_any_right_is_asked_about(sets: World) -> None:
    with pytest.raises(PolicyRefused, match="acme/label:none"):
        sets.add("g2", "acme/label:none", OPEN)


# Rows that hold in every tenant


EVERYWHERE = [
    ("p", "*", "*", "*", "read", "any", "*", "-", "-", "deny"),
    ("p", BOB, "*", "*", "read", "any", "*", "-", "-", "deny"),
    ("g3", "care", "any-purpose"),
]


@pytest.mark.parametrize("fields", EVERYWHERE, ids=" ".join)
def test_the_administrator_of_all_tenants_there_are_changes_what_holds_in_every_one(
    world: World, fields: tuple[str, ...]
) -> None:
    own = "\n".join(line for line in POLICY.splitlines() if "borealis" not in line)
    alone = make_world(world.folder / "alone", policy=bundle(own, {PAYROLL: {"owner": "acme/user:dora"}}))
    assert alone.add(*fields)
    assert alone.remove(*fields)
    with pytest.raises(Refused):
        alone.add(*fields, who=BOB)


@pytest.mark.parametrize("fields", EVERYWHERE, ids=" ".join)
@pytest.mark.parametrize("who", ["acme/user:bob", "corp/user:eve"])
def test_in_a_store_that_names_no_tenant_at_all_nobody_may_everywhere(
    world: World, fields: tuple[str, ...], who: str
) -> None:
    """Else whoever asks would hold each right in none of no tenants."""
    bare = make_world(
        world.folder / "bare", policy=bundle("p, *, *, *, read, owner, *, -, -, allow", {}), admin="a/user:a"
    )
    bare.remove("p", "a/user:a", "a", "*", "ingest", "any", "*", "-", "-", "allow", who="a/user:a")
    bare.remove("p", "a/user:a", "a", "a/policy", "administer", "any", "*", "-", "-", "allow", who="a/user:a")
    with pytest.raises(Refused):
        bare.add(*fields, who=who)
