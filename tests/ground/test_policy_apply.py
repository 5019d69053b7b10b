"""A policy's files are applied as one journaled difference, by who may, whole or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance.errors import InvalidInput, PolicyRefused, Refused
from ringfence_governance.kept_changes import GIVEN, Reasoned
from ringfence_governance.labels import Label, NamedLabel
from ringfence_governance.policy_difference import KEPT_EVERYWHERE, KEPT_GIVEN
from ringfence_governance.policy_rows import Row

from .policy_files import (
    ADI,
    ADMINISTERS,
    BOB,
    DECLASSIFIES,
    DORA,
    GIVEN_ROWS,
    HAL,
    JOIN,
    OWN,
    OWN_LABELS,
    PAYROLL,
    SALARIES,
    STAFF,
    apply,
    diff,
    files,
    lines,
    rows_of,
    state,
)
from .worlds import (
    ADMIN,
    LABELS,
    WHY,
    World,
    draft,
    label,
    row,
    subject,
)

# What it does


def test_the_policy_becomes_what_the_files_say_for_the_next_query_everywhere(
    alone: World, tmp_path: Path
) -> None:
    text = OWN.replace("g, acme/user:hal, acme/group:hr", JOIN)
    labels = {**OWN_LABELS, "acme/label:new": {"owner": BOB}, STAFF: {"owner": DORA}}
    doors = [alone, alone.second()]
    assert [SALARIES in world.see(HAL).paths for world in doors] == [True, True]
    done = apply(alone, files(tmp_path, text, labels))
    assert done == {
        "changed": True,
        "added": [JOIN],
        "removed": ["g, acme/user:hal, acme/group:hr"],
        "defined": ["acme/label:new"],
        "redefined": [STAFF],
        "kept": [{"row": given, "why": KEPT_GIVEN} for given in sorted(GIVEN_ROWS)],
        "kept_labels": [],
    }
    for world in doors:
        assert lines(world) == {*rows_of(text), *GIVEN_ROWS}
        assert SALARIES not in world.see(HAL).paths
        assert world.see(BOB).paths == (SALARIES,)
    alone.put(draft("n.txt", "under the new label", "acme/label:new"))
    assert "n.txt" in doors[1].see(BOB).paths


def test_each_row_and_label_is_a_journal_row_what_goes_before_what_comes(
    alone: World, tmp_path: Path
) -> None:
    before = len(alone.ground.history())
    text = f"{OWN}\n{JOIN}".replace("f, acme/user:lee, 2, project", "f, acme/user:lee, 3, project")
    apply(alone, files(tmp_path, text, {"acme/label:new": {"owner": BOB}, STAFF: {"owner": DORA}}))
    entries = alone.ground.history()[before:]
    assert [entry.change.kind for entry in entries] == [
        "row_removed",
        "label_defined",
        "label_redefined",
        "row_added",
        "row_added",
    ]
    assert entries[0].change.row == row("f", "acme/user:lee", "2", "project")
    assert entries[1].change.label == ("acme/label:new", Label("acme", BOB).to_mapping())
    for entry in entries:
        assert (entry.who, entry.why, entry.ticket) == (ADMIN, "the files say so", "T-1")
        assert entry.asserted_by == alone.ground.asserted_by
    numbers = [entry.sequence for entry in entries]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    again = alone.reopened()
    assert again.ground.history()[before:] == entries
    assert lines(again) == {*rows_of(text), *GIVEN_ROWS}


def test_applied_again_it_changes_nothing(alone: World, tmp_path: Path) -> None:
    path = files(tmp_path, f"{OWN}\n{JOIN}", OWN_LABELS)
    apply(alone, path)
    before = state(alone)
    done = apply(alone, path)
    assert not done["changed"]
    assert state(alone) == before


def test_a_file_alone_is_applied_and_leaves_the_labels(alone: World, tmp_path: Path) -> None:
    done = apply(alone, files(tmp_path, f"{OWN}\n{JOIN}") / "policy.csv")
    assert (done["added"], done["defined"], done["kept_labels"]) == ([JOIN], [], sorted(OWN_LABELS))


def test_labels_that_the_files_do_not_hold_stay_and_are_told(alone: World, tmp_path: Path) -> None:
    done = apply(alone, files(tmp_path, OWN, {PAYROLL: OWN_LABELS[PAYROLL]}))
    assert not done["changed"]
    assert done["kept_labels"] == sorted(set(OWN_LABELS) - {PAYROLL})


def test_a_row_may_name_a_label_of_the_files_or_of_the_store_and_no_other(
    alone: World, tmp_path: Path
) -> None:
    new, none = "acme/label:new", "acme/label:none"
    text = f"{OWN}\ng2, {new}, acme/set:s\ng2, {PAYROLL}, acme/set:s"
    assert apply(alone, files(tmp_path, text, {new: {"owner": BOB}}))["changed"]
    before = state(alone)
    path = files(tmp_path, f"{text}\ng2, {none}, acme/set:s", {})
    with pytest.raises(PolicyRefused) as caught:
        apply(alone, path)
    (finding,) = caught.value.findings
    assert (finding.file, finding.line) == (str(path / "policy.csv"), text.count("\n") + 2)
    assert state(alone) == before


def test_what_the_store_s_making_gave_its_administrator_stays_until_the_files_hold_it(
    alone: World, tmp_path: Path
) -> None:
    alone.add(*ADMINISTERS.split(", "))
    both = "\n".join([OWN, ADMINISTERS])
    assert [kept["row"] for kept in apply(alone, files(tmp_path, both))["kept"]] == sorted(GIVEN_ROWS)
    with_them = apply(alone, files(tmp_path, "\n".join([both, *GIVEN_ROWS])))
    assert (with_them["changed"], with_them["kept"]) == (False, [])
    assert lines(alone) >= GIVEN_ROWS


def test_a_row_added_later_is_not_kept_whatever_its_reason_says(alone: World, tmp_path: Path) -> None:
    alone.door.add_row(subject(ADMIN), row(*JOIN.split(", ")), Reasoned(GIVEN))
    assert apply(alone, files(tmp_path))["removed"] == [JOIN]


def test_from_any_policy_to_any_other_what_stands_is_the_files_and_what_is_kept(
    alone: World, tmp_path: Path
) -> None:
    dice = random.Random(7)
    people, groups = [HAL, BOB, DORA, "acme/user:lee"], [f"acme/group:g{n}" for n in range(3)]
    for _ in range(6):
        more = {f"g, {dice.choice(people)}, {dice.choice(groups)}" for _ in range(4)}
        more |= {f"f, {name}, {dice.randint(0, 3)}, -" for name in people[:3] if dice.random() < 0.5}
        more |= {f"p, {dice.choice(groups)}, acme, *, read, any, *, -, -, allow" for _ in range(2)}
        labels = {f"acme/label:n{n}": {"owner": DORA, "level": 0} for n in range(dice.randint(0, 3))}
        text = "\n".join([OWN, *sorted(more)])
        apply(alone, files(tmp_path, text, labels))
        assert lines(alone) == {*rows_of(text), *GIVEN_ROWS}
        assert set(labels) <= set(alone.ground.moment().table.by_id)
    assert lines(alone.reopened()) == {*rows_of(text), *GIVEN_ROWS}


# Who may


def test_of_two_tenants_each_administrator_changes_his_own(filled: World, tmp_path: Path) -> None:
    theirs = {line for line in lines(filled) if "borealis" in line}
    everywhere = {line for line in lines(filled) if line.startswith("p, *, *")}
    done = apply(filled, files(tmp_path, f"p, {BOB}, acme, *, audit, any, *, -, -, allow", {}))
    assert done["changed"]
    assert lines(filled) == {
        *theirs,
        *everywhere,
        *GIVEN_ROWS,
        f"p, {BOB}, acme, *, audit, any, *, -, -, allow",
    }
    assert {kept["row"]: kept["why"] for kept in done["kept"]} == {
        **dict.fromkeys(everywhere, KEPT_EVERYWHERE),
        **dict.fromkeys(GIVEN_ROWS, KEPT_GIVEN),
    }
    assert "borealis" not in json.dumps(done)


def test_rows_for_every_tenant_that_stand_may_be_in_anybody_s_files(filled: World, tmp_path: Path) -> None:
    assert not apply(filled, files(tmp_path, OWN, {}))["changed"]


@pytest.mark.parametrize(
    "line",
    [
        "p, *, *, *, read, any, *, -, -, deny",
        f"p, {BOB}, *, *, read, any, *, -, -, allow",
        "g3, care, any-purpose",
        # Whether it stands there is not told.
        "g, borealis/user:x, borealis/group:y",
        "p, borealis/user:bea, borealis, borealis/policy, administer, any, *, -, -, allow",
    ],
)
def test_what_is_of_another_tenant_or_of_every_one_is_refused_whether_it_stands_or_not(
    filled: World, tmp_path: Path, line: str
) -> None:
    before = state(filled)
    with pytest.raises(Refused) as caught:
        apply(filled, files(tmp_path, f"{OWN}\n{JOIN}\n{line}", {}))
    assert f"{line}: it is of another tenant, or of every one, where you may not administer" in str(
        caught.value
    )
    assert JOIN not in str(caught.value)
    assert state(filled) == before
    assert filled.records()[-1]["outcome"] == "refused"


def test_a_label_of_another_tenant_is_refused_and_its_existence_not_told(
    filled: World, tmp_path: Path
) -> None:
    plans, none = "borealis/label:plans", "borealis/label:none"
    messages = set()
    for name, fields in [
        (plans, LABELS[plans]),
        (plans, {"owner": "borealis/user:x"}),
        (none, LABELS[plans]),
    ]:
        with pytest.raises(Refused) as caught:
            apply(filled, files(tmp_path, OWN, {name: fields}))
        messages.add(str(caught.value).replace(name, "NAME"))
    assert len(messages) == 1
    findings = set()
    for name in (plans, none):
        with pytest.raises(PolicyRefused) as refused:
            apply(filled, files(tmp_path, f"{OWN}\ng2, {name}, borealis/set:s", {}))
        findings.add(str(refused.value).replace(name, "NAME"))
    assert len(findings) == 1


def test_the_administrator_of_the_only_tenant_changes_what_holds_in_every_one(
    alone: World, tmp_path: Path
) -> None:
    readers = "p, *, *, *, read, reader, *, -, -, allow"
    done = apply(alone, files(tmp_path, OWN.replace(readers, "g3, care, any-purpose")))
    assert (done["removed"], done["added"]) == ([readers], ["g3, care, any-purpose"])


@pytest.mark.parametrize("who", [BOB, HAL, "acme/user:dex", "acme/user:nobody", "corp/user:eve"])
@pytest.mark.parametrize("verb", ["policy_apply", "policy_diff"])
def test_who_may_not_administer_applies_nothing_and_is_told_nothing_of_the_files(
    alone: World, tmp_path: Path, who: str, verb: str
) -> None:
    before, run = state(alone), {"policy_apply": apply, "policy_diff": diff}[verb]
    messages = set()
    for path in (files(tmp_path), files(tmp_path, "broken", name="broken"), tmp_path / "nowhere"):
        with pytest.raises(Refused) as caught:
            run(alone, path, who)
        messages.add(str(caught.value))
        record = alone.records()[-1]
        assert (record["verb"], record["outcome"]) == (verb, "refused")
    assert messages == {f"{who} may not administer this policy; nothing was changed"}
    assert state(alone) == before


def test_nobody_applies_a_policy_after_which_he_could_not_administer(alone: World, tmp_path: Path) -> None:
    alone.add(*ADMINISTERS.split(", "))
    before = state(alone)
    with pytest.raises(
        Refused, match=f"afterwards {ADI} could no longer administer acme/policy: keep a rule"
    ):
        apply(alone, files(tmp_path), ADI)
    with pytest.raises(Refused, match="could no longer administer"):
        apply(alone, files(tmp_path, f"{OWN}\n{ADMINISTERS.replace('allow', 'deny')}"), ADI)
    assert state(alone) == before
    assert apply(alone, files(tmp_path, f"{OWN}\n{ADMINISTERS}\n{JOIN}"), ADI)["added"] == [JOIN]


# Lowering


WIDER = {**OWN_LABELS, PAYROLL: {"owner": DORA, "readers": ["acme/group:hr", BOB]}}
OPEN_SET = f"{OWN}\np, {BOB}, acme, acme/set:open, read, any, *, -, -, allow\ng2, {PAYROLL}, acme/set:open"


@pytest.mark.parametrize(
    ("text", "labels", "reason"),
    [
        (OWN, WIDER, "readers gain acme/user:bob"),
        (OPEN_SET, None, "it joins acme/set:open, which a rule allows"),
        # A right that it gives itself does not help to make it.
        (f"{OWN}\n{DECLASSIFIES}", WIDER, "readers gain acme/user:bob"),
        (f"{OPEN_SET}\n{DECLASSIFIES}", None, "it joins acme/set:open, which a rule allows"),
    ],
    ids=["redefined", "put into a set", "redefined, with the right", "put into a set, with the right"],
)
def test_to_lower_a_label_needs_declassify_before_it(
    alone: World, tmp_path: Path, text: str, labels: dict[str, Any] | None, reason: str
) -> None:
    before, path = state(alone), files(tmp_path, text, labels)
    with pytest.raises(Refused) as caught:
        apply(alone, path)
    assert f"label {PAYROLL} would be lower ({reason}): that needs 'declassify'" in str(caught.value)
    assert state(alone) == before
    assert SALARIES not in alone.see(BOB).paths
    apply(alone, files(tmp_path, f"{OWN}\n{DECLASSIFIES}", name="first"))
    assert apply(alone, files(tmp_path, text.replace(DECLASSIFIES, "") + f"\n{DECLASSIFIES}", labels))
    assert SALARIES in alone.see(BOB).paths


def test_to_take_a_label_out_of_a_denied_set_needs_declassify(alone: World, tmp_path: Path) -> None:
    denied = f"{OWN}\np, {HAL}, acme, acme/set:shut, *, any, *, -, -, deny"
    apply(alone, files(tmp_path, f"{denied}\ng2, {PAYROLL}, acme/set:shut"))
    assert SALARIES not in alone.see(HAL).paths
    for text in (denied, OWN):
        with pytest.raises(Refused, match="it leaves acme/set:shut, which a rule denies"):
            apply(alone, files(tmp_path, text))
    assert SALARIES not in alone.see(HAL).paths


def test_a_label_that_is_only_now_defined_may_be_put_anywhere(alone: World, tmp_path: Path) -> None:
    new = "acme/label:new"
    text = OPEN_SET.replace(PAYROLL, new)
    assert apply(alone, files(tmp_path, text, {new: {"owner": DORA}}))["defined"] == [new]


def test_everything_that_stands_in_the_way_is_told_at_once(filled: World, tmp_path: Path) -> None:
    filled.add(*ADMINISTERS.split(", "))
    labels = {
        PAYROLL: WIDER[PAYROLL],
        STAFF: {"owner": ADI},
        "borealis/label:x": {"owner": "borealis/user:x"},
    }
    before, path = state(filled), files(tmp_path, f"{OWN}\ng3, care, any-purpose", labels)
    with pytest.raises(Refused) as caught:
        apply(filled, path, ADI)
    told = str(caught.value)
    for part in ("g3, care", "label borealis/label:x", f"label {PAYROLL}", f"label {STAFF}", "no longer"):
        assert part in told
    assert state(filled) == before
    record = filled.records()[-1]
    assert (record["verb"], record["outcome"], record["counts"]) == (
        "policy_apply",
        "refused",
        {"refusals": 5},
    )
    assert diff(filled, path, ADI)["refusals"] == [line.strip() for line in told.splitlines()[1:]]


# At once


def interrupted(world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> None:
    """Let something else be changed between judging and keeping."""
    real, first = type(world.ground).record, iter([True])

    def record(self: object, *arguments: object, **fields: object) -> None:
        real(self, *arguments, **fields)  # type: ignore[arg-type]
        if next(first, False):
            change()

    monkeypatch.setattr(type(world.ground), "record", record)


def test_it_is_judged_again_when_another_change_came_first(
    alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = alone.second()
    interrupted(alone, monkeypatch, lambda: other.add("g", "acme/user:late", "acme/group:hr"))
    done = apply(alone, files(tmp_path, f"{OWN}\n{JOIN}"))
    assert done["removed"] == ["g, acme/user:late, acme/group:hr"]
    assert lines(other) == {*rows_of(f"{OWN}\n{JOIN}"), *GIVEN_ROWS}


def test_a_right_lost_in_between_stops_it(
    alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone.add(*ADMINISTERS.split(", "))
    other, before = alone.second(), lines(alone)
    interrupted(alone, monkeypatch, lambda: other.remove(*ADMINISTERS.split(", ")))
    with pytest.raises(Refused, match="may not administer"):
        apply(alone, files(tmp_path, f"{OWN}\n{ADMINISTERS}\n{JOIN}"), ADI)
    assert lines(alone) == before - {ADMINISTERS}


# What it would do


def test_the_difference_is_what_readers_then_see(alone: World, tmp_path: Path) -> None:
    text = OWN.replace("g, acme/user:hal, acme/group:hr", JOIN)
    path = files(tmp_path, text, {**OWN_LABELS, STAFF: {"owner": DORA, "readers": ["acme/group:hr"]}})
    alone.put(draft("own.txt", "a note", label(BOB, "acme/group:hr")))
    before, expected = state(alone), diff(alone, path)
    assert state(alone) == before
    names = {entry.label_id for entry in alone.ground.moment().table.entries.values() if not entry.named}
    paths = {PAYROLL: SALARIES, STAFF: "public.txt", **dict.fromkeys(names, "own.txt")}
    people = [HAL, BOB, DORA, "acme/user:lee", "acme/user:dex"]
    seen = {who: set(alone.see(who).paths) for who in people}
    apply(alone, path)
    now = {who: set(alone.see(who).paths) for who in people}
    for kind, more in (
        ("opens", lambda who: now[who] - seen[who]),
        ("closes", lambda who: seen[who] - now[who]),
    ):
        told = {
            (each["subject"], paths[each["object"]]) for each in expected[kind] if each["object"] in paths
        }
        assert {(who, path) for who, path in told if who in people} == {
            (who, path) for who in people for path in more(who)
        }
    assert (expected["opened"], expected["closed"]) == (len(expected["opens"]), len(expected["closes"]))
    assert expected["opened"] >= 1
    assert expected["closed"] >= 3
    assert diff(alone, path)["opens"] == diff(alone, path)["closes"] == []


def test_the_difference_holds_the_rows_and_labels_as_applying_tells_them(
    alone: World, tmp_path: Path
) -> None:
    path = files(tmp_path, f"{OWN}\n{JOIN}", {"acme/label:new": {"owner": BOB}})
    told = diff(alone, path)
    done = apply(alone, path)
    assert {name: told[name] for name in done if name != "changed"} == {
        name: value for name, value in done.items() if name != "changed"
    }
    assert told["opens"] == [
        {
            "subject": BOB,
            "carried": False,
            "purpose": "",
            "object": name,
            "since": told["at"],
        }
        for name in ("acme/label:new", PAYROLL)
    ]


def test_the_difference_in_another_action_is_told_on_asking(alone: World, tmp_path: Path) -> None:
    path = files(tmp_path, f"{OWN}\n{ADMINISTERS}")
    # The rule makes him known, and staff is for everybody known.
    assert [each["object"] for each in diff(alone, path)["opens"]] == [STAFF]
    assert [each["object"] for each in diff(alone, path, action="administer")["opens"]] == ["acme/policy"]
    for action in ("delegate", "peek", "*", ""):
        with pytest.raises(InvalidInput, match="action: found"):
            diff(alone, path, action=action)


def test_nobody_of_another_tenant_is_in_the_difference(filled: World, tmp_path: Path) -> None:
    told = diff(filled, files(tmp_path, ADMINISTERS, {}))
    assert told["closed"] > 0
    assert "borealis" not in json.dumps(told)


def test_applying_and_asking_are_recorded_with_numbers_and_without_names(
    alone: World, tmp_path: Path
) -> None:
    path = files(tmp_path, f"{OWN}\n{JOIN}", {"acme/label:new": {"owner": BOB}})
    diff(alone, path)
    apply(alone, path)
    asked, applied = [record for record in alone.records() if record["verb"].startswith("policy_")]
    assert (asked["outcome"], asked["counts"]) == ("allowed", {"opened": 2, "closed": 0})
    assert applied["counts"] == {"added": 1, "removed": 0, "defined": 1, "redefined": 0, "lowered": 0}
    assert "label:" not in json.dumps([asked, applied])
    log = alone.door.log(subject("acme/user:olga"))
    assert [entry["action"] for entry in log if entry.get("ticket") == "T-1"] == [
        "label_defined",
        "row_added",
    ]


def test_an_apply_that_cannot_be_recorded_is_not_made(
    alone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no record")

    before = state(alone)
    monkeypatch.setattr(type(alone.ground), "record", fail)
    with pytest.raises(OSError, match="no record"):
        apply(alone, files(tmp_path, f"{OWN}\n{JOIN}"))
    assert state(alone) == before


def test_a_label_defined_by_files_is_the_same_as_one_defined_by_hand(alone: World, tmp_path: Path) -> None:
    new = {"acme/label:new": {"owner": DORA, "readers": [BOB]}}
    apply(alone, files(tmp_path, OWN, new))
    with pytest.raises(InvalidInput, match="is defined already"):
        alone.door.define_label(subject(ADMIN), NamedLabel("acme/label:new", label()), WHY)
    alone.put(draft("new.txt", "a text", "acme/label:new"))
    assert "new.txt" in alone.see(BOB).paths


def test_rows_keep_who_added_them_though_files_hold_them_too(alone: World, tmp_path: Path) -> None:
    alone.add(*JOIN.split(", "))
    added: Row = row(*JOIN.split(", "))
    number = alone.ground.moment().policy.added[added]
    apply(alone, files(tmp_path, f"{OWN}\n{JOIN}\ng, {DORA}, acme/group:hr"))
    assert alone.ground.moment().policy.added[added] == number
