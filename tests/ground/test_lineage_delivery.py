"""A backend of lineage that is down, slow or gone holds up no job and misses no event; order is kept."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from ringfence_governance import catalog_schema, lineage_backends, lineage_queue
from ringfence_governance.errors import Refused
from ringfence_governance.lineage import CLOSE_WAIT_S, SET_ASIDE_NAME

from .lineage_jobs import events, read_events
from .lineage_receiver import Receiver, receiving
from .openlineage_spec import wrong_with
from .worlds import ADMIN, World, copy_world, draft, open_world, process, subject

RUN = [("ingest", "START"), ("ingest", "RUNNING"), ("ingest", "COMPLETE")]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def sent(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A receiver that OpenLineage's own variables name."""
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    return receiver


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends that are down are tried again soon."""
    monkeypatch.setattr("ringfence_governance.lineage.PAUSE_S", 0.05)


def waiting(world: World) -> int:
    with world.ground.catalog.read() as connection:
        return lineage_queue.length(connection)[0]


def wait_until_sent(world: World, within_s: float = 15.0) -> None:
    until = time.monotonic() + within_s
    while waiting(world):
        assert time.monotonic() < until, world.ground.lineage.status()
        time.sleep(0.02)


def ids_of(told: list[dict[str, Any]]) -> list[str]:
    return [event["run"]["facets"]["ringfence_event"]["id"] for event in told]


def configured(monkeypatch: pytest.MonkeyPatch, **transport: object) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT", json.dumps(transport))


def test_events_reach_a_real_receiver_whole_and_in_order(world: World, sent: Receiver) -> None:
    world.put(draft("a.txt", "text"))
    world.add("g", "acme/user:bob", "acme/group:hr")
    sent.wait_for(5)
    assert sent.states() == [*RUN, ("row_added", "START"), ("row_added", "COMPLETE")]
    assert not [wrong for event in sent.events for wrong in wrong_with(event)]
    wait_until_sent(world)
    assert not events_file(world).exists()


def events_file(world: World) -> Path:
    return world.path / "lineage" / "openlineage.jsonl"


def test_an_api_key_reaches_the_receiver_and_no_event_or_environment(
    world: World, sent: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "very-secret")
    world.put(draft("a.txt", "text"))
    sent.wait_for(3)
    assert sent.headers[0]["Authorization"] == "Bearer very-secret"
    assert "very-secret" not in json.dumps(sent.events)
    assert not [name for name in os.environ if name.startswith("OPENLINEAGE__")]


def test_a_backend_that_is_down_holds_up_no_job_and_is_told_once_it_is_back(
    world: World, sent: Receiver
) -> None:
    sent.status = 503
    started = time.monotonic()
    world.put(draft("a.txt", "text"))
    world.put(draft("b.txt", "text of b"))
    assert time.monotonic() - started < 5
    assert sent.events == []
    assert waiting(world) == 6
    until = time.monotonic() + 15
    while not (status := world.ground.lineage.status())["problem"]:
        assert time.monotonic() < until
    assert status == {
        "backends": ["http"],
        "waiting": 6,
        "since": status["since"],
        "set_aside": 0,
        "problem": "the http backend did not take it (HTTP 503)",
    }
    sent.status = 201
    sent.wait_for(6)
    assert sent.states() == [*RUN, *RUN]


def test_nobody_listens_and_nothing_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    started = time.monotonic()
    world.put(draft("a.txt", "text"))
    world = world.reopened()
    assert time.monotonic() - started < 10
    assert waiting(world) == 3
    monkeypatch.setenv("OPENLINEAGE_URL", receiver.url)
    # Opened again it goes on by itself; so it does at the next event, and by the command.
    world = world.reopened()
    receiver.wait_for(3)
    assert receiver.states() == RUN
    world.door.close()


def test_a_receiver_that_hangs_holds_up_neither_a_job_nor_the_closing_of_a_store(
    world: World, sent: Receiver
) -> None:
    sent.slow_s = 4
    started = time.monotonic()
    world.put(draft("a.txt", "text"))
    took = time.monotonic() - started
    world.door.close()
    assert took < 4
    assert time.monotonic() - started < took + CLOSE_WAIT_S + 3
    sent.slow_s = 0
    again = open_world(world.folder, world.clock)
    again.ground.lineage.flush()
    assert set(sent.states()) == set(RUN)
    assert waiting(again) == 0
    again.door.close()


def test_an_event_that_is_sent_twice_is_the_same_event(
    world: World, sent: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent.status = 503
    world.put(draft("a.txt", "text"))
    sent.status = 201

    def killed(*_: object, **__: object) -> None:
        raise OSError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr("ringfence_governance.lineage.Lineage._note", killed)
        world.ground.lineage.flush()
        assert waiting(world) == 3
    world.ground.lineage.flush()
    assert waiting(world) == 0
    assert len(sent.events) >= 6
    assert sorted({json.dumps(event, sort_keys=True) for event in sent.events}) == sorted(
        json.dumps(event, sort_keys=True) for event in sent.events[:3]
    )
    assert len(set(ids_of(sent.events))) == 3


def test_the_command_sends_what_waits_and_needs_the_right(alone: World, receiver: Receiver) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
        alone.put(draft("a.txt", "text"))
        assert alone.door.status(subject(ADMIN))["lineage"]["waiting"] == 3
        assert "lineage" not in alone.door.status(subject("acme/user:hal"))
        with pytest.raises(Refused, match="nothing was sent"):
            alone.door.flush_lineage(subject("acme/user:hal"))
        patch.setenv("OPENLINEAGE_URL", receiver.url)
        done = alone.door.flush_lineage(subject(ADMIN))
    assert (done["waiting"], done["problem"], receiver.states()) == (0, "", RUN)


@pytest.mark.parametrize(
    "instant", [11, 40, 110, *(pytest.param(each, marks=pytest.mark.soak) for each in range(3, 200, 7))]
)
def test_killed_at_any_instant_nothing_is_lost(
    template: World, tmp_path: Path, sent: Receiver, instant: int
) -> None:
    """What was published was told; what was told was published; every START has its end once another writes."""
    world = copy_world(template, tmp_path / "world")
    world.door.close()
    with process("die", world.folder, str(instant), "0") as dying:
        dying.hear_out()
    assert dying.child.returncode == -signal.SIGKILL
    after = open_world(world.folder)
    (last,) = after.put(draft("last", "one more"))
    after.ground.lineage.flush()
    assert waiting(after) == 0
    runs: dict[str, list[str]] = {}
    seen = set()
    for event in sent.events:
        event_id = event["run"]["facets"]["ringfence_event"]["id"]
        if event_id not in seen:
            runs.setdefault(event["run"]["runId"], []).append(event["eventType"])
        seen.add(event_id)
    assert all(states[0] == "START" for states in runs.values())
    assert all(states[-1] in ("COMPLETE", "FAIL", "ABORT") for states in runs.values()), runs
    with after.ground.catalog.read() as connection:
        published = connection.execute(select(catalog_schema.publications.c.sequence)).scalars().all()
    told = {
        event["run"]["facets"]["ringfence_publication"]["sequence"]
        for event in sent.events
        if event["eventType"] == "RUNNING"
    }
    # The first one made the store.
    assert told == set(published[1:])
    assert last in {one["name"] for event in sent.events for one in event["outputs"]}
    after.door.close()


def test_an_event_that_a_backend_never_takes_is_set_aside_and_the_others_go_on(
    world: World, sent: Receiver
) -> None:
    sent.refused = "row_added"
    world.add("g", "acme/user:bob", "acme/group:hr")
    world.put(draft("a.txt", "text"))
    sent.wait_for(3)
    wait_until_sent(world)
    assert sent.states() == RUN
    aside = read_events(world.path / "lineage" / SET_ASIDE_NAME)
    assert [event["eventType"] for event in aside] == ["START", "COMPLETE"]
    assert world.ground.lineage.status()["set_aside"] == 2


def test_more_events_than_may_wait_are_set_aside_the_oldest_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(lineage_queue, "WAITING_MAX", 4)
    monkeypatch.setattr(lineage_queue, "READ_AT_ONCE", 2)
    for number in range(3):
        world.put(draft(f"{number}.txt", f"text {number}"))
    world.ground.lineage.flush()
    assert waiting(world) == 4
    aside = read_events(world.path / "lineage" / SET_ASIDE_NAME)
    assert [(event["job"]["name"], event["eventType"]) for event in aside] == [*RUN, *RUN][:5]
    assert world.ground.lineage.status()["set_aside"] == 5
    monkeypatch.delenv("OPENLINEAGE_URL")
    world.ground.lineage.flush()
    told = aside + events(world)
    assert [event["eventType"] for event in told] == ["START", "RUNNING", "COMPLETE"] * 3


def test_a_part_of_a_composite_that_is_down_holds_up_no_other_and_misses_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "events.jsonl"
    with receiving() as one, receiving() as other:
        configured(
            monkeypatch,
            type="composite",
            transports={
                "down": {"type": "http", "url": one.url},
                "up": {"type": "http", "url": other.url},
                "file": {"type": "file", "log_file_path": str(file), "append": True},
            },
        )
        one.status = 500
        world.put(draft("a.txt", "text"))
        other.wait_for(3)
        world.ground.lineage.flush()
        assert (one.events, other.states(), waiting(world)) == ([], RUN, 3)
        # The one that has them already is not told them again, not by another process either.
        world = world.reopened()
        world.ground.lineage.flush()
        assert other.states() == RUN
        world.put(draft("b.txt", "text of b"))
        other.wait_for(6)
        one.status = 201
        world.ground.lineage.flush()
        assert one.states() == other.states() == [*RUN, *RUN]
        assert ids_of(one.events) == ids_of(other.events) == ids_of(read_events(file))
        assert waiting(world) == 0
        world.door.close()


def test_a_transport_that_sends_in_the_background_has_an_event_only_once_it_sent_it(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, type="async_http", url=receiver.url, retry={"total": 0})
    receiver.status = 500
    world.put(draft("a.txt", "text"))
    status = world.ground.lineage.flush()
    assert (status["waiting"], receiver.events) == (3, [])
    assert "did not confirm" in str(status["problem"])
    receiver.status = 201
    world.ground.lineage.flush()
    assert receiver.states() == RUN
    assert waiting(world) == 0


def test_half_a_line_of_a_dead_process_is_cut_off_and_its_event_comes_whole(world: World) -> None:
    world.put(draft("a.txt", "text"))
    with events_file(world).open("ab") as file:
        file.write(b'{"eventTime": "2026')
    world.put(draft("b.txt", "text of b"))
    assert [event["eventType"] for event in events(world)] == ["START", "RUNNING", "COMPLETE"] * 2


def test_a_link_in_the_files_place_leads_no_writer_to_anothers_file(world: World, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_bytes(b"one line\nand half a")
    events = world.path / "lineage" / "openlineage.jsonl"
    events.unlink(missing_ok=True)
    events.symlink_to(theirs)
    world.put(draft("a.txt", "words"))
    assert theirs.read_bytes() == b"one line\nand half a"
    assert world.ground.lineage.status()["waiting"]
    events.unlink()
    assert not world.ground.lineage.flush()["waiting"]


def test_a_file_that_cannot_be_written_stops_no_run_and_misses_nothing(world: World) -> None:
    path = events_file(world)
    path.mkdir()
    world.put(draft("a.txt", "text"))
    status = world.ground.lineage.status()
    assert (status["waiting"], status["problem"]) == (
        3,
        "the file backend did not take it (IsADirectoryError)",
    )
    path.rmdir()
    world.put(draft("b.txt", "text of b"))
    assert [event["eventType"] for event in events(world)] == ["START", "RUNNING", "COMPLETE"] * 2
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_synced_is_written_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("ringfence_governance.lineage_backends.durable_files.sync", broken)
        world.ground.lineage.deliver()
        with world.ground.catalog.write() as connection:
            world.ground.lineage.queue(connection, "START", "a" * 32, "compact")
        world.ground.lineage.deliver()
        assert waiting(world) == 1
    world.ground.lineage.flush()
    assert waiting(world) == 0
    assert len(set(ids_of(events(world)))) == 1


def test_a_file_inside_a_composite_that_is_one_backend_is_synced_too(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("ringfence_governance.lineage_transports.durable_files.sync", synced.append)
    file = {"type": "file", "log_file_path": str(tmp_path / "events.jsonl"), "append": True}
    configured(monkeypatch, type="composite", transports=[file], continue_on_failure=False)
    world.put(draft("a.txt", "text"))
    wait_until_sent(world)
    assert tmp_path / "events.jsonl" in synced


def test_a_configuration_in_the_folder_a_process_runs_in_is_not_read(
    world: World, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = json.dumps({"transport": {"type": "http", "url": receiver.url}})
    (tmp_path / "openlineage.yml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    world.put(draft("a.txt", "text"))
    assert len(events(world)) == 3
    assert receiver.asked == 0
    # Nor beside other settings of the client's.
    monkeypatch.setenv("OPENLINEAGE__FACETS__ENVIRONMENT_VARIABLES", '["HOME"]')
    world.put(draft("b.txt", "text of b"))
    assert receiver.asked == 0
    # Named, it is.
    monkeypatch.setenv("OPENLINEAGE_CONFIG", str(tmp_path / "openlineage.yml"))
    world.put(draft("c.txt", "text of c"))
    receiver.wait_for(3)


def test_a_configuration_in_the_users_own_folder_is_read(
    world: World, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".openlineage").mkdir()
    settings = json.dumps({"transport": {"type": "http", "url": receiver.url}})
    (tmp_path / ".openlineage" / "openlineage.yml").write_text(settings)
    monkeypatch.setenv("HOME", str(tmp_path))
    world.put(draft("a.txt", "text"))
    receiver.wait_for(3)


@pytest.mark.parametrize(
    "setting",
    [
        ("OPENLINEAGE_CONFIG", "/nowhere/openlineage.yml"),
        ("OPENLINEAGE__TRANSPORT", '{"url": "http://127.0.0.1:1"}'),
        ("OPENLINEAGE__TRANSPORT", '{"type": "carrier-pigeon"}'),
        ("OPENLINEAGE__TRANSPORT", '{"type": "http"}'),
        ("OPENLINEAGE__TRANSPORT", '{"type": "kafka", "topic": "t"}'),
    ],
    ids=" ".join,
)
def test_a_configuration_that_names_no_transport_is_said_and_prints_no_event(
    world: World,
    setting: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(*setting)
    world.put(draft("a.txt", "text"))
    status = world.ground.lineage.flush()
    assert (status["backends"], status["waiting"]) == ([], 3)
    assert "configuration" in str(status["problem"])
    assert "ringfence://" not in caplog.text + "".join(capfd.readouterr())
    monkeypatch.delenv(setting[0])
    world.ground.lineage.flush()
    assert len(events(world)) == 3


def test_one_that_sends_waits_for_another_and_order_is_kept(world: World) -> None:
    second = world.second()
    for number in range(4):
        (world if number % 2 else second).put(draft(f"{number}.txt", f"text {number}"))
    told = events(world)
    assert [event["eventType"] for event in told] == ["START", "RUNNING", "COMPLETE"] * 4
    with world.ground.lineage._alone(0) as alone:
        assert alone
        second.put(draft("more.txt", "more"))
        assert len(events(world)) == len(told)
    wait_until_sent(second)
    assert [event["eventType"] for event in events(world)] == ["START", "RUNNING", "COMPLETE"] * 5
    second.door.close()


def test_a_changed_event_in_the_catalog_is_not_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:1")
    world.put(draft("a.txt", "text"))
    with world.ground.catalog.write() as connection:
        connection.execute(update(catalog_schema.lineage_queue).values(sealed=b"x" * 99))
    monkeypatch.delenv("OPENLINEAGE_URL")
    assert "does not open" in str(world.ground.lineage.flush()["problem"])
    assert not events_file(world).exists()


def test_a_backend_names_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    configured(monkeypatch, type="http", url="http://h", auth={"type": "api_key", "apiKey": "very-secret"})
    (backend,) = lineage_backends.configured()
    assert repr(backend) == "Backend('http')"
