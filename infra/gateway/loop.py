"""The loop: read a batch, write it, wait until it is stored, let its place be committed. At least once, in order per visitor.

A crash writes what was stored since the last commit twice; Flink and Spark remove it by event_id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from contracts.clock import Clock
from contracts.settings import TOPICS
from infra.gateway.routing import Routed, route

BATCH = 5_000
"""Records at most: one that is behind waits for the broker once for so many."""
WAIT_SECONDS = 0.02
LAG_EVERY_SECONDS = 1.0
DRAIN_SECONDS = 5.0


class Meter(Protocol):
    """What the loop reports."""

    def moved(self, routed: Sequence[Routed], seconds: float) -> None: ...
    def lag(self, partition: int, records: int) -> None: ...
    def retried(self, what: str, error: str) -> None: ...


class DeliveryError(Exception):
    """Kafka refused a record for good; nothing of its batch is committed."""


@dataclass(slots=True)
class Gateway:
    """Moves records until `stop` is set."""

    consumer: Consumer
    producer: Producer
    clock: Clock
    meter: Meter
    stop: threading.Event
    _failed: list[str] = field(default_factory=list)
    _lag_at: float = 0.0

    def run(self) -> None:
        """Work until stopped; what was read by then is stored and committed.

        Raises:
            DeliveryError: Kafka refuses a record for good.
            KafkaException: the client cannot go on.
        """
        self.consumer.subscribe([TOPICS.events_raw])
        try:
            while not self.stop.is_set():
                self._move(self.consumer.consume(BATCH, WAIT_SECONDS))
                self._report_lag()
        finally:
            self.consumer.close()

    def _move(self, messages: Sequence[Message]) -> None:
        good = [message for message in messages if not self._is_error(message)]
        if not good:
            return
        began, now = time.perf_counter(), self.clock.now()
        routed = [route(m.value(), TOPICS.events_raw, *_place(m), now) for m in good]
        for record in routed:
            self._produce(record)
        if self._stored():
            self._commit(good)
            self.meter.moved(routed, time.perf_counter() - began)

    def _is_error(self, message: Message) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.fatal():
            raise KafkaException(error)
        self.meter.retried("consume", error.name())
        return True

    def _produce(self, record: Routed) -> None:
        while True:
            try:
                self.producer.produce(record.topic, record.value, record.key, on_delivery=self._delivered)
                return
            except BufferError:
                self.producer.poll(WAIT_SECONDS)

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error.str())

    def _stored(self) -> bool:
        """Whether the whole batch is in Kafka; while a broker is away it waits, until it is told to stop."""
        stopped_at: float | None = None
        while self.producer.flush(0.2) > 0:
            if self.stop.is_set():
                stopped_at = stopped_at or time.monotonic()
                if time.monotonic() - stopped_at > DRAIN_SECONDS:
                    return False
        if self._failed:
            raise DeliveryError(self._failed[0])
        return True

    def _commit(self, messages: Sequence[Message]) -> None:
        """From the client's next commit on, and where Kafka is there when it closes, these are not read again.

        Failing is harmless: the next batch's place covers this one, or who has the partition now writes it again.
        """
        last = dict(_place(message) for message in messages)
        positions = [TopicPartition(TOPICS.events_raw, part, offset + 1) for part, offset in last.items()]
        try:
            self.consumer.store_offsets(offsets=positions)
        except KafkaException as error:
            if error.args[0].fatal():
                raise
            self.meter.retried("store", error.args[0].name())

    def _report_lag(self) -> None:
        if time.monotonic() - self._lag_at < LAG_EVERY_SECONDS:
            return
        self._lag_at = time.monotonic()
        for place in self.consumer.position(self.consumer.assignment()):
            _, high = self.consumer.get_watermark_offsets(place, cached=True)
            if place.offset >= 0 and high >= 0:
                self.meter.lag(place.partition, max(0, high - place.offset))


def _place(message: Message) -> tuple[int, int]:
    """Partition and offset, which every record that was read has."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    return partition, offset
