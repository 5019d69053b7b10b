"""Lineage through Kafka: an event is confirmed by a broker or waits, whole and in order; nothing of it is printed."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ringfence_governance import lineage_queue, lineage_transports
from ringfence_governance.lineage import SET_ASIDE_NAME
from ringfence_governance.lineage_transports import NotTaken

from .kafka_brokers import TOPIC, Message, brokers, entrance
from .lineage_jobs import CANARY, read_events, run_every_job
from .openlineage_spec import wrong_with
from .postgres_server import free_port
from .worlds import ADMIN, WHY, World, copy_world, draft, subject

SECRET = "a-password-of-a-broker"
STATES = ["START", "RUNNING", "COMPLETE"]


def kafka(address: str, **config: object) -> dict[str, Any]:
    soon = {
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100,
        "linger.ms": 0,
        "topic.metadata.refresh.interval.ms": 100,
    }
    return {
        "type": "kafka",
        "topic": TOPIC,
        "config": {"bootstrap.servers": address, "sasl.password": SECRET, **soon, **config},
    }


def file_at(path: Path) -> dict[str, Any]:
    return {"type": "file", "log_file_path": str(path), "append": True}


def configure(patch: pytest.MonkeyPatch, folder: Path, transport: dict[str, Any]) -> None:
    """Write the client's own configuration file, and name it."""
    file = folder / "openlineage.yml"
    file.write_text(json.dumps({"transport": transport}))
    patch.setenv("OPENLINEAGE_CONFIG", str(file))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brokers that do not answer are given up, and tried again, soon."""
    monkeypatch.setattr("ringfence_governance.lineage.PAUSE_S", 0.05)
    monkeypatch.setattr(lineage_transports, "CONFIRM_S", 0.3)


def waiting(world: World) -> list[str]:
    """The ids of the events that wait."""
    with world.ground.catalog.read() as connection:
        return ids_of([each.event for each in lineage_queue.after(world.ground.catalog, connection, 0)])


def ahead(world: World) -> list[int]:
    """How far the backends are that are further than another."""
    with world.ground.catalog.read() as connection:
        return list(lineage_queue.cursors(world.ground.catalog, connection).values())


def wait_until_sent(world: World, within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while waiting(world):
        assert time.monotonic() < until, world.ground.lineage.status()
        time.sleep(0.02)


def problem_of(world: World, within_s: float = 15.0) -> str:
    until = time.monotonic() + within_s
    while not (problem := world.ground.lineage.status()["problem"]):
        assert time.monotonic() < until
        time.sleep(0.02)
    return str(problem)


def ids_of(told: list[dict[str, Any]]) -> list[str]:
    return [event["run"]["facets"]["ringfence_event"]["id"] for event in told]


def states_by_run(told: list[dict[str, Any]]) -> list[list[str]]:
    """The states of each run in the order in which they came first."""
    runs, seen = defaultdict(list), set()
    for event, event_id in zip(told, ids_of(told), strict=True):
        if event_id not in seen:
            runs[event["run"]["runId"]].append(event["eventType"])
        seen.add(event_id)
    return list(runs.values())


@dataclass(frozen=True)
class Told:
    """What a composite of a file and Kafka was told while every job ran."""

    messages: list[Message]
    file: list[dict[str, Any]]
    status: dict[str, object]
    namespace: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [message.event for message in self.messages]


@pytest.fixture(scope="module")
def told(alone_template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("kafka")
    with pytest.MonkeyPatch.context() as patch, brokers() as there:
        parts = {"file": file_at(folder / "events.jsonl"), "kafka": kafka(there.address)}
        configure(patch, folder, {"type": "composite", "transports": parts})
        world = copy_world(alone_template, folder / "world")
        run_every_job(world, folder)
        status = world.ground.lineage.flush()
        namespace = world.ground.lineage.name.namespace
        world.door.close()
        yield Told(there.messages(), read_events(folder / "events.jsonl"), status, namespace)


def test_every_event_of_every_job_is_in_the_topic_once_and_in_the_file_beside_it(told: Told) -> None:
    assert len(told.file) > 50
    assert sorted(ids_of(told.events)) == sorted(ids_of(told.file))
    assert (told.status["backends"], told.status["waiting"]) == (["file", "kafka"], 0)
    beside = {event["run"]["facets"]["ringfence_event"]["id"]: event for event in told.file}
    for event, event_id in zip(told.events, ids_of(told.events), strict=True):
        assert event == beside[event_id]


def test_every_message_is_valid_by_the_specification_and_by_our_schemas(told: Told) -> None:
    assert {index: wrong for index, event in enumerate(told.events) if (wrong := wrong_with(event))} == {}


def test_a_run_is_in_one_partition_from_its_start_to_its_one_end(told: Told) -> None:
    places = defaultdict(set)
    for message in told.messages:
        places[message.event["run"]["runId"]].add((message.partition, message.key))
        assert message.key == f"run:{told.namespace}/{message.event['job']['name']}"
    assert all(len(found) == 1 for found in places.values())
    assert len({partition for found in places.values() for partition, _ in found}) > 1
    for states in states_by_run(told.events):
        assert (states[0], set(states[1:-1]) <= {"RUNNING"}) == ("START", True)
        assert states[-1] in ("COMPLETE", "FAIL", "ABORT")


@pytest.mark.parametrize("word", [CANARY, SECRET, ADMIN, "acme", "a test asks for it", "/srv/share"])
def test_no_message_and_no_key_holds_anything_but_opaque_names(told: Told, word: str) -> None:
    assert not [each for each in told.messages if word in each.text or word in each.key]


def test_a_run_that_another_started_goes_to_the_partition_of_that_one(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "OPENLINEAGE_PARENT_ID", "airflow://firm/nightly.ingest/0197a3c4-0000-7000-8000-00000000000a"
    )
    with brokers() as there:
        configure(monkeypatch, tmp_path, kafka(there.address))
        (first,) = world.put(draft("a.txt", "text"))
        for action in ("relabel_from", "relabel_to"):
            world.add("p", ADMIN, "acme", "*", action, "any", "*", "-", "-", "allow")
        world.door.relabel(subject(ADMIN), first, "acme/label:payroll", WHY)
        wait_until_sent(world)
        messages = there.messages()
    assert {message.key for message in messages} == {"run:airflow://firm/nightly.ingest"}
    # One partition: the order is that of all jobs together.
    assert [(each.event["job"]["name"], each.event["eventType"]) for each in messages] == [
        *(("ingest", state) for state in STATES),
        *(("row_added", state) for state in ("START", "COMPLETE") * 2),
        *(("relabel", state) for state in STATES),
    ]


@pytest.mark.usefixtures("impatient")
def test_nobody_listens_and_what_waits_is_in_the_topic_once_somebody_does(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    configure(monkeypatch, tmp_path, kafka(f"127.0.0.1:{port}"))
    world.put(draft("a.txt", "text"))
    problem = problem_of(world)
    world.put(draft("b.txt", "text of b"))
    expected = waiting(world)
    assert len(expected) == 6
    assert problem.startswith("the kafka backend did not confirm it")
    assert "127.0.0.1" not in problem
    with brokers() as there, entrance(port, there):
        wait_until_sent(world)
        events = there.events()
    assert set(ids_of(events)) == set(expected)
    assert states_by_run(events) == [STATES, STATES]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("impatient")
def test_brokers_that_go_take_no_event_with_them_that_was_not_confirmed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    configure(monkeypatch, tmp_path, kafka(f"127.0.0.1:{port}"))
    with brokers() as first, entrance(port, first):
        world.put(draft("a.txt", "text"))
        wait_until_sent(world)
        assert states_by_run(first.events()) == [STATES]
    world.put(draft("b.txt", "text of b"))
    problem_of(world)
    expected = waiting(world)
    assert len(expected) == 3
    with brokers() as second, entrance(port, second):
        wait_until_sent(world)
        events = second.events()
    assert set(ids_of(events)) == set(expected)
    assert states_by_run(events) == [STATES]
    assert capfd.readouterr() == ("", "")


def test_kafka_that_is_down_and_named_first_uses_up_no_time_of_the_others(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may end long before Kafka was given up."""
    monkeypatch.setattr(lineage_transports, "CONFIRM_S", 60.0)
    monkeypatch.setattr("ringfence_governance.lineage.CLOSE_WAIT_S", 0.1)
    file = tmp_path / "events.jsonl"
    parts = {"kafka": kafka(f"127.0.0.1:{free_port()}"), "file": file_at(file)}
    configure(monkeypatch, tmp_path, {"type": "composite", "transports": parts})
    world.put(draft("a.txt", "text"))
    expected = waiting(world)
    assert len(expected) == 3
    until = time.monotonic() + 15
    while not (file.exists() and ids_of(read_events(file)) == expected and ahead(world)):
        assert time.monotonic() < until, "the file was not told"
        time.sleep(0.02)
    world.put(draft("b.txt", "text of b"))
    while ids_of(read_events(file)) != waiting(world):
        assert time.monotonic() < until, "the file was not told what came while Kafka was waited for"
        time.sleep(0.02)
    world.door.close()


def test_inside_a_composite_that_stops_at_a_failure_kafka_has_an_event_only_once_a_broker_confirmed_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own transport returns as if all were well once its time is over."""
    monkeypatch.setattr("ringfence_governance.lineage.PAUSE_S", 0.05)
    port = free_port()
    parts = [kafka(f"127.0.0.1:{port}", **{"message.timeout.ms": 100})]
    configure(monkeypatch, tmp_path, {"type": "composite", "transports": parts, "continue_on_failure": False})
    world.put(draft("a.txt", "text"))
    assert problem_of(world) == "the kafka backend did not confirm it (_MSG_TIMED_OUT)"
    expected = waiting(world)
    assert len(expected) == 3
    with brokers() as there, entrance(port, there):
        wait_until_sent(world)
        assert set(ids_of(there.events())) == set(expected)


def test_an_event_that_is_too_large_for_kafka_is_set_aside_and_the_others_go_on(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with brokers() as there:
        configure(monkeypatch, tmp_path, kafka(there.address, **{"message.max.bytes": 2500}))
        world.put(draft("a.txt", "text"))
        wait_until_sent(world)
        assert [event["eventType"] for event in there.events()] == ["COMPLETE"]
    aside = read_events(world.path / "lineage" / SET_ASIDE_NAME)
    assert [event["eventType"] for event in aside] == ["START", "RUNNING"]
    assert world.ground.lineage.status()["set_aside"] == 2


@pytest.mark.usefixtures("impatient")
def test_what_was_not_confirmed_is_not_left_with_the_client_to_be_sent_once_more(world: World) -> None:
    with world.ground.catalog.write() as connection:
        world.ground.lineage.queue(connection, "START", "a" * 32, "compact")
    with world.ground.catalog.read() as connection:
        (event,) = lineage_queue.after(world.ground.catalog, connection, 0)
    transport: Any = lineage_transports.made(kafka(f"127.0.0.1:{free_port()}"))
    for _ in range(2):
        with pytest.raises(NotTaken, match="did not confirm it"):
            transport.emit(lineage_transports.as_event(event.event))
        assert len(transport.producer) == 0
