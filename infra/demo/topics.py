"""Waits on Kafka and Flink's results by counting, never by sleeping for a guess."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from confluent_kafka import Consumer, TopicPartition

from contracts.errors import BraidError
from contracts.settings import TOPICS, Settings


class NotSeenError(BraidError):
    """Something that was sent did not arrive in time."""


def wait_for(
    what: str, holds: Callable[[], bool], limit_seconds: float = 120.0, poll_seconds: float = 0.1
) -> None:
    """Wait until `holds()`.

    Raises:
        NotSeenError: it did not hold within the limit.
    """
    deadline = time.monotonic() + limit_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotSeenError(
                f"{what}: not so after {limit_seconds:.0f} s; see `make status` and its log files"
            )
        time.sleep(poll_seconds)


def wait_until_passed(settings: Settings, at_least: int) -> None:
    """Wait until the gateway has moved every record of `events_raw`, of which there are at least `at_least`."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "braid-demo-watch"})
    try:

        def passed() -> bool:
            raw = _length(consumer, settings, TOPICS.events_raw)
            through = _length(consumer, settings, TOPICS.events) + _length(
                consumer, settings, TOPICS.rejected_events
            )
            return raw >= at_least and through >= raw

        wait_for("the gateway moved every event", passed)
    finally:
        consumer.close()


def count(settings: Settings, topic: str) -> int:
    """Records of a topic that is not compacted."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "braid-demo-watch"})
    try:
        return _length(consumer, settings, topic)
    finally:
        consumer.close()


def written(settings: Settings, topic: str) -> int:
    """Records that were ever written to a topic, which may be compacted."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "braid-demo-watch"})
    try:
        return sum(high for _, high in _ends(consumer, settings, topic))
    finally:
        consumer.close()


def _length(consumer: Consumer, settings: Settings, topic: str) -> int:
    return sum(high - low for low, high in _ends(consumer, settings, topic))


def _ends(consumer: Consumer, settings: Settings, topic: str) -> Iterator[tuple[int, int]]:
    """The first offset and the next of each partition."""
    return (
        consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        for partition in range(settings.kafka_partitions)
    )
