"""Kafka brokers on free ports of loopback, made by librdkafka: they speak the protocol, keep what comes, and can go.

What they keep goes with them. An entrance is an address that stays while the brokers behind it come and go.
"""

from __future__ import annotations

import contextlib
import gc
import json
import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import confluent_kafka
from confluent_kafka.admin import AdminClient

TOPIC = "lineage"
WITHIN_S = 15.0


@dataclass(frozen=True)
class Message:
    partition: int
    key: str
    text: str

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.text)
        return found


class Brokers:
    """Three brokers, until they are closed."""

    def __init__(self) -> None:
        self._client: Any = AdminClient({"test.mock.num.brokers": 3, "log_level": 0})
        found = self._client.list_topics(timeout=WITHIN_S).brokers.values()
        self.address = ",".join(f"{each.host}:{each.port}" for each in found)

    def close(self) -> None:
        self._client = None
        gc.collect()

    def messages(self) -> list[Message]:
        """Everything in the topic: those of one partition in their order."""
        settings = {
            "group.id": "a test",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
            "log_level": 0,
        }
        consumer = confluent_kafka.Consumer({"bootstrap.servers": self.address, **settings})
        try:
            partitions = list(consumer.list_topics(TOPIC, timeout=WITHIN_S).topics[TOPIC].partitions)
            first = confluent_kafka.OFFSET_BEGINNING
            consumer.assign([confluent_kafka.TopicPartition(TOPIC, each, first) for each in partitions])
            found, at_end = [], set[int]()
            while len(at_end) < len(partitions):
                message = consumer.poll(WITHIN_S)
                assert message is not None, "the brokers do not answer"
                if (error := message.error()) is None:
                    found.append(
                        Message(message.partition(), message.key().decode(), message.value().decode())
                    )
                else:
                    assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
                    at_end.add(message.partition())
            return found
        finally:
            consumer.close()

    def events(self) -> list[dict[str, Any]]:
        return [message.event for message in self.messages()]


@contextmanager
def brokers() -> Iterator[Brokers]:
    made = Brokers()
    try:
        yield made
    finally:
        made.close()


@contextmanager
def entrance(port: int, behind: Brokers) -> Iterator[None]:
    """Lead a port to the first of some brokers; before and after, nobody listens there."""
    host, _, to = behind.address.partition(",")[0].partition(":")

    class Through(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError), socket.create_connection((host, int(to))) as inner:
                _join(self.request, inner)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    with Server(("127.0.0.1", port), Through) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            behind.close()


def _join(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if not (data := key.fileobj.recv(65536)):
                    return
                key.data.sendall(data)
