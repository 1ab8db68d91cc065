"""Flat events for the stream tests, and how their rows are read back."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.clock import to_rfc3339
from contracts.door import Admitted, admit_record
from contracts.settings import TOPICS, Settings

START = datetime(2011, 9, 2, 8, 0, tzinfo=UTC)
START_MICROS = int(START.timestamp()) * 1_000_000
LIMIT_SECONDS = 120.0
Rows = dict[tuple[str, ...], dict[str, Any]]


def at(seconds: float) -> str:
    """The wire time `seconds` after START."""
    return to_rfc3339(datetime.fromtimestamp(START.timestamp() + seconds, UTC))


def micros(seconds: float) -> int:
    """The flat time `seconds` after START."""
    return START_MICROS + round(seconds * 1_000_000)


def wire(name: str, event_id: str, visitor: str, seconds: float, **more: Any) -> dict[str, Any]:
    """A wire event; `consent`, `chosen_at` (seconds) and `received_at` (seconds) beside any field of the contract."""
    granted = more.pop("consent", "granted")
    purposes = dict.fromkeys(("analytics", "personalization", "ads", "email", "push"), granted)
    return {
        "event_id": event_id,
        "event_name": name,
        "schema_version": "1",
        "event_time": at(seconds),
        "received_time": at(more.pop("received_at", seconds)),
        "visitor_id": visitor,
        "session_id": "s1",
        "platform": "web",
        "consent": {**purposes, "changed_at": at(more.pop("chosen_at", -3600))},
        **more,
    }


def items(*ids: str, price: str = "1.00", quantity: int = 1) -> list[dict[str, Any]]:
    return [{"item_id": item_id, "price": price, "quantity": quantity, "currency": "GBP"} for item_id in ids]


def unique(name: str) -> str:
    """A name that no other test of the session uses."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def send(settings: Settings, records: Iterable[dict[str, Any]]) -> None:
    """Put wire events into `events` in the given order, as the gateway would."""
    producer = Producer(
        {"bootstrap.servers": settings.kafka_bootstrap, "enable.idempotence": True, "linger.ms": 5}
    )
    for record in records:
        admitted = admit_record(record, "test", "0/0", START)
        assert isinstance(admitted, Admitted), admitted
        producer.produce(TOPICS.events, admitted.value, admitted.key)
        producer.poll(0)
    assert producer.flush(60) == 0


class Tail:
    """What is written to a topic from now on, or from its beginning."""

    def __init__(self, settings: Settings, topic: str, *, from_begin: bool = False) -> None:
        servers = {"bootstrap.servers": settings.kafka_bootstrap}
        self._consumer = Consumer({**servers, "group.id": unique("tail"), "enable.auto.commit": False})
        partitions = AdminClient(servers).list_topics(topic, timeout=30).topics[topic].partitions
        self._places = [TopicPartition(topic, partition) for partition in partitions]
        self._next = {place.partition: 0 for place in self._places} if from_begin else self._ends()
        start = [TopicPartition(topic, partition, offset) for partition, offset in self._next.items()]
        self._consumer.assign(start)
        self._found: list[tuple[bytes, bytes]] = []

    def read(self) -> list[tuple[bytes, bytes]]:
        """All keys and values so far, in offset order within a partition."""
        ends = self._ends()
        while any(self._next[partition] < end for partition, end in ends.items()):
            for message in self._consumer.consume(5_000, 0.1):
                assert message.error() is None, message.error()
                self._found.append((message.key(), message.value()))
                self._next[message.partition()] = message.offset() + 1
        return self._found

    def rows(self, view: str, marker: str) -> Rows:
        """The newest row per key of `view` whose visitor or shopper holds `marker`."""
        newest: Rows = {}
        for key, value in self.read():
            keys = json.loads(key)
            if keys.pop("view") == view and marker in str(keys):
                newest[tuple(str(part) for part in keys.values())] = json.loads(value)
        return newest

    def _ends(self) -> dict[int, int]:
        return {
            place.partition: self._consumer.get_watermark_offsets(place, timeout=30)[1]
            for place in self._places
        }


def wait_for(read: Callable[[], Rows], done: Callable[[Rows], bool]) -> Rows:
    """Read until it is as expected; after two minutes the test fails on what is there."""
    end = time.monotonic() + LIMIT_SECONDS
    while not done(found := read()) and time.monotonic() < end:
        time.sleep(0.2)
    return found
