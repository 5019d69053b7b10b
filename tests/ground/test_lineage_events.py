"""Every job tells OpenLineage of its runs: whole, in order, valid by the specification, and in opaque names only."""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ringfence_governance import lineage_facets
from ringfence_governance.lineage import Lineage

from .lineage_jobs import OWNER, events, run_every_job
from .openlineage_spec import FACETS, OUR_FACETS, OUR_SCHEMAS, OURS, wrong_with
from .worlds import ADMIN, World, copy_world, draft, open_world

HEX = re.compile(r"[0-9a-f]{32}")
Event = dict[str, Any]


@pytest.fixture(scope="module")
def worked(
    alone_template: World, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, dict[str, str], list[Event]]:
    """A store in which every job has run, the ids of its documents, and its events."""
    folder = tmp_path_factory.mktemp("worked")
    world = copy_world(alone_template, folder / "world")
    before = len(events(world))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "OPENLINEAGE_PARENT_ID", "airflow://firm/nightly.ingest/0197a3c4-0000-7000-8000-00000000000a"
        )
        ids = run_every_job(world, folder)
    world.door.close()
    return world, ids, events(world)[before:]


@pytest.fixture
def told(worked: tuple[World, dict[str, str], list[Event]]) -> list[Event]:
    return worked[2]


def of(told: list[Event], job: str, state: str) -> list[Event]:
    return [event for event in told if (event["job"]["name"], event["eventType"]) == (job, state)]


def datasets(event: Event) -> list[Event]:
    found: list[Event] = [*event["inputs"], *event["outputs"]]
    return found


def test_every_event_is_valid_by_the_specification_and_by_our_schemas(told: list[Event]) -> None:
    assert len(told) > 50
    assert {index: wrong for index, event in enumerate(told) if (wrong := wrong_with(event))} == {}


def test_an_event_that_is_not_as_the_specification_says_is_found(told: list[Event]) -> None:
    (event,) = of(told, "compact", "RUNNING")
    for spoil in (
        lambda one: one["run"].update(runId="7"),
        lambda one: one.update(eventType="DONE"),
        lambda one: one["outputs"][0].pop("namespace"),
        lambda one: one["run"]["facets"]["ringfence_publication"].update(path="x"),
        lambda one: one["run"]["facets"]["ringfence_event"].update(id="x"),
        lambda one: one["outputs"][0]["facets"]["columnLineage"].pop("fields"),
        lambda one: one["outputs"][0]["facets"]["schema"].pop("_producer"),
        lambda one: one["outputs"][0]["facets"].update(secret={}),
    ):
        spoilt = copy.deepcopy(event)
        spoil(spoilt)
        assert wrong_with(spoilt)


def test_every_facet_is_in_some_event_and_its_schema_in_the_repository(told: list[Event]) -> None:
    seen = {name for event in told for name in event["run"]["facets"]}
    seen |= {f"{name} of a job" for event in told for name in event["job"]["facets"]} | {"jobType"}
    seen |= {name for event in told for one in datasets(event) for name in one.get("facets", {})}
    assert set(FACETS) | set(OUR_FACETS) == seen - {"jobType of a job"}
    for name, schema in OUR_SCHEMAS.items():
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == f"{lineage_facets.OWN_SCHEMAS}/{name}.json"
    assert lineage_facets.OWN_SCHEMAS.endswith("/".join(OURS.parts[-3:]))


def test_every_job_tells_start_and_then_exactly_one_end(told: list[Event]) -> None:
    runs = defaultdict(list)
    for event in told:
        runs[event["run"]["runId"]].append(event["eventType"])
    for states in runs.values():
        assert (states[0], states[-1] in ("COMPLETE", "FAIL", "ABORT")) == ("START", True)
        assert set(states[1:-1]) <= {"RUNNING"}
    ended = {(event["job"]["name"], event["eventType"]) for event in told}
    assert {job for job, state in ended if state == "COMPLETE"} == set(lineage_facets.JOBS)
    assert {("ingest", "FAIL"), ("ingest", "ABORT"), ("row_added", "FAIL")} <= ended


def test_times_never_go_back_and_no_event_id_comes_twice(told: list[Event]) -> None:
    times = [event["eventTime"] for event in told]
    assert times == sorted(times)
    ids = [event["run"]["facets"]["ringfence_event"]["id"] for event in told]
    assert len(set(ids)) == len(ids)


def test_namespaces_name_the_store_and_names_are_opaque(
    worked: tuple[World, dict[str, str], list[Event]],
) -> None:
    world, _, told = worked
    namespace = f"ringfence://{world.ground.store_id}"
    for event in told:
        assert event["job"]["namespace"] == namespace
        for one in datasets(event):
            assert one["namespace"] == namespace
            assert HEX.fullmatch(one["name"])


def test_what_a_publication_holds_is_told_document_by_document(
    worked: tuple[World, dict[str, str], list[Event]],
) -> None:
    _, ids, told = worked
    kinds = [
        (one["name"], one["facets"]["lifecycleStateChange"]["lifecycleStateChange"])
        for event in told
        if event["eventType"] == "RUNNING" and event["job"]["name"] != "compact"
        for one in event["outputs"]
    ]
    assert [kind for name, kind in kinds if name == ids["first"]] == ["CREATE", "OVERWRITE", "ALTER", "DROP"]
    assert [kind for name, kind in kinds if name == ids["second"]] == ["CREATE", "ALTER", "DROP"]
    # Made from the first: relabelled and erased with it.
    assert [kind for name, kind in kinds if name == ids["made"]] == ["CREATE", "ALTER", "DROP"]


def test_columns_say_what_they_were_made_from(worked: tuple[World, dict[str, str], list[Event]]) -> None:
    _, ids, told = worked
    (event,) = [
        each
        for each in of(told, "ingest", "RUNNING")
        if [one["name"] for one in each["outputs"]] == [ids["made"]]
    ]
    source, parent = (one["name"] for one in event["inputs"])
    assert parent == ids["first"]
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert [one["name"] for one in fields["chunks.vector"]["inputFields"]] == [source, parent]
    assert [one["name"] for one in fields["metadata"]["inputFields"]] == [source]
    (event,) = of(told, "relabel", "RUNNING")
    for one in event["outputs"]:
        fields = one["facets"]["columnLineage"]["fields"]
        assert {each["name"] for field in fields.values() for each in field["inputFields"]} == {one["name"]}


def test_labels_are_told_by_their_atoms_and_owners_by_keyed_digests(
    worked: tuple[World, dict[str, str], list[Event]],
) -> None:
    world, ids, told = worked
    world = open_world(world.folder, world.clock)
    table, name = world.ground.moment().table, world.ground.lineage.name
    owner = name.principal(OWNER)
    first = of(told, "ingest", "RUNNING")[0]["outputs"][0]["facets"]
    assert first["ownership"]["owners"] == [{"name": owner, "type": "OWNER"}]
    assert table.entries[first["ringfence_label"]["atom"]].definition.owner == OWNER  # type: ignore[union-attr]
    (relabelled,) = of(told, "relabel", "RUNNING")
    (made,) = [one for one in relabelled["outputs"] if one["name"] == ids["made"]]
    parts = {table.entries[atom].label_id for atom in made["facets"]["ringfence_label"]["parts"]}
    assert "acme/label:staff" in parts
    assert len(parts) == 2
    assert len(made["facets"]["ownership"]["owners"]) == 2
    started = told[0]["job"]["facets"]["ownership"]["owners"]
    assert started == [{"name": name.principal(ADMIN), "type": "STARTED_BY"}]
    assert HEX.fullmatch(owner.removeprefix("principal:"))
    world.door.close()


def test_an_error_is_told_by_its_class_alone(told: list[Event]) -> None:
    errors = [
        (event["eventType"], event["run"]["facets"]["errorMessage"]["message"])
        for event in told
        if "errorMessage" in event["run"]["facets"]
    ]
    assert errors == [("FAIL", "ValueError"), ("ABORT", "KeyboardInterrupt"), ("FAIL", "StoreError")]


def test_a_run_names_the_run_that_started_its_process(told: list[Event]) -> None:
    for event in told:
        parent = event["run"]["facets"]["parent"]
        assert (parent["job"]["namespace"], parent["job"]["name"]) == ("airflow://firm", "nightly.ingest")
        assert parent["run"]["runId"] == "0197a3c4-0000-7000-8000-00000000000a"


@pytest.mark.parametrize("parent", ["x", "a/b/not-a-uuid", "/b/0197a3c4-0000-7000-8000-00000000000a"])
def test_a_parent_that_is_malformed_stops_no_run_and_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", parent)
    world.put(draft("a.txt", "text"))
    assert all("parent" not in event["run"]["facets"] for event in events(world))
    assert "OPENLINEAGE_PARENT_ID" in str(world.ground.lineage.status()["problem"])


def test_principals_are_in_clear_only_if_that_was_asked_for_by_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in ("", "0", "true"):
        monkeypatch.setenv(lineage_facets.CLEAR_PRINCIPALS, value)
        world.put(draft(f"{value}.txt", "text"))
    file = world.path / "lineage" / "openlineage.jsonl"
    assert "acme/user" not in file.read_text()
    monkeypatch.setenv(lineage_facets.CLEAR_PRINCIPALS, "1")
    world.put(draft("b.txt", "text"))
    assert '"acme/user:dora"' in file.read_text()
    assert f'"{ADMIN}"' in file.read_text()


def test_a_large_publication_is_told_in_several_events(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringfence_governance.runs.DATASETS_AT_ONCE", 2)
    ids = world.put(*(draft(f"{number}.txt", f"text {number}") for number in range(5)))
    told = of(events(world), "ingest", "RUNNING")
    assert [len(event["outputs"]) for event in told] == [2, 2, 1]
    assert {one["name"] for event in told for one in event["outputs"]} == set(ids)


def test_what_was_not_published_is_not_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ringfence_governance.manifest.move", failing)
    with pytest.raises(ZeroDivisionError):
        world.put(draft("a.txt", "text"))
    assert [event["eventType"] for event in events(world)] == ["START", "FAIL"]


def test_with_openlineage_disabled_nothing_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    world.put(draft("a.txt", "text"))
    assert not (world.path / "lineage" / "openlineage.jsonl").exists()
    assert world.ground.lineage.status()["backends"] == []
    monkeypatch.delenv("OPENLINEAGE_DISABLED")
    world.put(draft("b.txt", "text"))
    assert [event["eventType"] for event in events(world)] == ["START", "RUNNING", "COMPLETE"]


def test_a_lineage_prints_nothing_of_the_store(world: World) -> None:
    assert repr(world.ground.lineage) == "Lineage(…)"
    assert isinstance(world.ground.lineage, Lineage)
