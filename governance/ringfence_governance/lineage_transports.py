"""Make OpenLineage's transports so that they have an event once `emit` returns, wherever in a configuration they stand.

Promise: the client returns from Kafka, and from what sends in the background,
whether an event arrived or not; here it returns only once that was confirmed,
inside a composite and a transform too. Nothing is printed about a broker.

Source: openlineage-python; librdkafka's CONFIGURATION.md; docs/lineage.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import durable_files
from .errors import StoreError

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent
    from openlineage.client.transport import Transport as Transport

CONFIRM_S = 10.0
"""How long a backend that takes events in the background may take to confirm one."""
KAFKA_REFUSALS = frozenset({"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_RECORD"})
"""Errors of Kafka that say of one event that it will never be taken."""
_KAFKA = frozenset({"kafka", "msk-iam"})


class NotTaken(StoreError):
    """A backend did not confirm an event; it is sent again."""


class NeverTaken(StoreError):
    """A backend said that it will not take this event, however often it comes."""


class LatestError:
    """Remembers the name of the latest error a client of Kafka told of, such as `_ALL_BROKERS_DOWN`.

    The name alone: the text holds addresses.
    """

    def __init__(self) -> None:
        self.name = ""

    def __call__(self, error: Any) -> None:
        """Take an error of the client's."""
        self.name = str(error.name())


def made(settings: Mapping[str, Any]) -> Transport:
    """Make the transport of a configuration.

    Raises:
        Exception: The client cannot make it.
    """
    from openlineage.client.transport import get_default_factory

    transport = get_default_factory().create(_quietly(settings))
    for each in _each(transport):
        _confirm(each)
    return transport


def settle(transport: Transport) -> None:
    """Make durable what went into a local file, which the client does not.

    Raises:
        OSError: It could not be synced.
    """
    for each in _each(transport):
        path = Path(str(getattr(getattr(each, "config", None), "log_file_path", "")))
        if path.name and path.is_file():
            durable_files.sync(path)


def _quietly(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by which a transport tries once and prints nothing, what stands in them first."""
    found = dict(settings)
    if isinstance(parts := found.get("transports"), Mapping):
        found["transports"] = {name: _quietly(each) if each else each for name, each in parts.items()}
    elif isinstance(parts, list):
        found["transports"] = [_quietly(each) for each in parts]
    if isinstance(inner := found.get("transport"), Mapping):
        found["transport"] = _quietly(inner)
    if found.get("type") == "http":
        # What is not taken is sent again from the queue: waiting for it here would only take longer.
        found = {"retry": {"total": 0, "status_forcelist": []}, **found}
    if found.get("type") in _KAFKA and isinstance(config := found.get("config"), Mapping):
        # Else it writes every attempt to reach a broker, with its address, to the error output of whoever writes.
        found["config"] = {"log_level": 0, **config, "error_cb": LatestError()}
    return found


def _each(transport: Transport) -> Iterator[Transport]:
    """Go through a transport and those inside it."""
    yield transport
    inside = [*getattr(transport, "transports", ()), getattr(transport, "transport", None)]
    for each in inside:
        if each is not None:
            yield from _each(each)


def _confirm(transport: Transport) -> None:
    from openlineage.client.transport.async_http import AsyncHttpTransport
    from openlineage.client.transport.kafka import KafkaTransport

    # On the object: what it stands in calls its `emit`.
    if isinstance(transport, KafkaTransport):
        vars(transport)["emit"] = partial(_produce, transport)
    elif isinstance(transport, AsyncHttpTransport):
        vars(transport)["emit"] = partial(_sent, transport, transport.emit)


def _produce(transport: Any, event: RunEvent) -> None:
    """Hand an event to Kafka as the client does, and hear whether the brokers took it, which the client does not."""
    from confluent_kafka import KafkaException
    from openlineage.client.serde import Serde

    reports: list[Any] = []
    config = transport.kafka_config.config
    latest = config["error_cb"]
    latest.name = ""
    if transport.producer is None:  # as the client has it inside old versions of Airflow
        transport._setup_producer(config)
    try:
        transport.producer.produce(
            topic=transport.topic,
            key=transport.message_key or transport._get_message_key(event),
            value=Serde.to_json(event).encode(),
            on_delivery=lambda error, _: reports.append(error),
        )
    except KafkaException as error:
        raise _kafka_error(error.args[0].name()) from None
    transport.producer.flush(timeout=CONFIRM_S)
    if not reports:
        # It comes again from our queue; left in the client's it would come once more for each attempt.
        transport.producer.purge(in_flight=False)
        transport.producer.poll(0)
        raise _kafka_error(latest.name)
    if reports[0] is not None:
        raise _kafka_error(reports[0].name())


def _kafka_error(name: str) -> StoreError:
    if name in KAFKA_REFUSALS:
        return NeverTaken(f"the kafka backend refused it ({name})")
    return NotTaken(f"the kafka backend did not confirm it{f' ({name})' if name else ''}")


def _sent(transport: Any, emit: Any, event: RunEvent) -> None:
    """Hand an event to a transport that sends in the background, and wait until it has sent."""
    failed = transport.get_stats()["failed"]
    emit(event)
    if not transport.wait_for_completion(CONFIRM_S) or transport.get_stats()["failed"] != failed:
        raise NotTaken("the async_http backend did not confirm it")


def as_event(event: Mapping[str, Any]) -> RunEvent:
    """Return an event as the client's own object."""
    from openlineage.client import event_v2

    run, job = event["run"], event["job"]
    return event_v2.RunEvent(
        eventTime=event["eventTime"],
        producer=event["producer"],
        eventType=event_v2.RunState(event["eventType"]),
        run=event_v2.Run(run["runId"], _with_parent(run.get("facets", {}))),
        job=event_v2.Job(job["namespace"], job["name"], job.get("facets", {})),
        inputs=[
            event_v2.InputDataset(each["namespace"], each["name"], facets=each.get("facets", {}))
            for each in event.get("inputs", ())
        ],
        outputs=[
            event_v2.OutputDataset(each["namespace"], each["name"], facets=each.get("facets", {}))
            for each in event.get("outputs", ())
        ],
    )


def _with_parent(facets: Mapping[str, Any]) -> dict[str, Any]:
    """Return run facets with the parent as the client's own class, by which it chooses Kafka's partition."""
    from openlineage.client.facet_v2 import parent_run

    found = dict(facets)
    if (parent := found.get("parent")) is not None:
        found["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(parent["run"]["runId"]),
            job=parent_run.Job(parent["job"]["namespace"], parent["job"]["name"]),
            producer=parent["_producer"],
        )
    return found
