"""What lies in Kafka: read whole topics, make topics, and wait until the stream has no more to say."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.errors import BraidError
from contracts.settings import Settings
from infra.publish import Sender

QUIET_SECONDS = 6.0
LIMIT_SECONDS = 600.0
Record = dict[str, Any]


class TopicError(BraidError):
    """A topic did not come to rest in time."""


def read_all(settings: Settings, topic: str) -> Iterator[tuple[int, int, bytes, bytes]]:
    """(partition, offset, key, value) of every record now in the topic, partition by partition; tombstones left out."""
    consumer = _consumer(settings)
    try:
        for place, (oldest, end) in _bounds(consumer, settings, topic).items():
            # From a record that is gone the consumer would go to the end and wait.
            consumer.assign([TopicPartition(topic, place, oldest)])
            at = oldest
            while at < end:
                for message in consumer.consume(10_000, 1.0):
                    offset, key, value = message.offset(), message.key(), message.value()
                    if message.error() is None and offset is not None:
                        at = offset + 1
                        if key is not None and value is not None:
                            yield place, offset, key, value
                at = max(at, consumer.position([TopicPartition(topic, place)])[0].offset)
    finally:
        consumer.close()


def flat_events(settings: Settings, topic: str) -> list[Record]:
    """The flat events of a topic with their positions: of a device in offset order."""
    decode = msgspec.json.Decoder(Record).decode
    return [
        {**decode(value), "source_partition": partition, "source_offset": offset}
        for partition, offset, _, value in read_all(settings, topic)
    ]


def make_topics(settings: Settings, names: Sequence[str]) -> None:
    """Topics with one partition each."""
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    for made in admin.create_topics([NewTopic(name, num_partitions=1) for name in names]).values():
        made.result(timeout=30)


def send_flat(settings: Settings, topic: str, events: Sequence[Mapping[str, Any]]) -> None:
    """Put flat events into a topic, in order."""
    sender = Sender(settings)
    for event in events:
        sender.send_raw(topic, event["visitor_id"], msgspec.json.encode(event))
    sender.flush()


def wait_until_quiet(settings: Settings, topics: Sequence[str]) -> None:
    """Wait until nothing was written to the topics for `QUIET_SECONDS`.

    Raises:
        TopicError: they do not come to rest.
    """
    consumer = _consumer(settings)
    try:
        deadline, seen, since = time.monotonic() + LIMIT_SECONDS, -1, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            written = sum(sum(_ends(consumer, settings, topic).values()) for topic in topics)
            if written != seen:
                seen, since = written, time.monotonic()
            if time.monotonic() > deadline:
                raise TopicError(f"{', '.join(topics)}: still written to after {LIMIT_SECONDS:.0f} s")
            time.sleep(0.5)
    finally:
        consumer.close()


def _consumer(settings: Settings) -> Consumer:
    options = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "group.id": "braid-parity",
        "enable.auto.commit": False,
    }
    return Consumer(options)


def _ends(consumer: Consumer, settings: Settings, topic: str) -> dict[int, int]:
    return {place: end for place, (_, end) in _bounds(consumer, settings, topic).items()}


def _bounds(consumer: Consumer, settings: Settings, topic: str) -> dict[int, tuple[int, int]]:
    """By partition the oldest offset, and the next one to be written."""
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    return {n: consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=30) for n in partitions}
