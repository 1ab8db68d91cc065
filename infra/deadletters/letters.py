"""The dead letters themselves: every record of the topic `rejected_events`.

The topic is the one source: it holds each refused record's own bytes with every violation the moment it is refused, while
`bronze_rejected` in Delta is its copy as of the last batch, for the gates and for history.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.errors import UNREADABLE, BraidError
from contracts.fields import Violation
from contracts.rejections import Rejection
from contracts.settings import TOPICS, Settings
from infra.gateway.routing import reason_label

READ_SECONDS = 10.0
BATCH = 1000
NO_LETTER = "a letter that cannot be read"
SHOWN = 200
NOT_KNOWN = "1970-01-01T00:00:00.000000Z"


class DeadLetterError(BraidError):
    """Dead letters cannot be read or sent."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One refused record; `place` says where it lay (`events_raw/2/17`), which names it.

    A record of the topic that is no letter is one too, by its own place, for the reason `NO_LETTER`.
    """

    place: str
    rejection: Rejection

    @property
    def reason(self) -> str:
        return reason_label(self.rejection)


def read_letters(settings: Settings) -> Iterator[Letter]:
    """Every letter from the oldest kept to the newest now, a partition after the other.

    Raises:
        DeadLetterError: Kafka does not answer, or has no such topic.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap,
            # Nothing is committed: each reading begins at the oldest record.
            "group.id": f"braid-deadletters-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "enable.partition.eof": False,
        }
    )
    try:
        for partition, (low, high) in _bounds(consumer).items():
            yield from _read(consumer, partition, low, high)
    except KafkaException as error:
        raise DeadLetterError(
            f"Kafka at {settings.kafka_bootstrap} does not answer: {error.args[0]}"
        ) from error
    finally:
        consumer.close()


def _bounds(consumer: Consumer) -> dict[int, tuple[int, int]]:
    topic = TOPICS.rejected_events
    found_topic = consumer.list_topics(timeout=READ_SECONDS).topics.get(topic)
    if found_topic is None or found_topic.error is not None:
        raise DeadLetterError(f"Kafka has no topic {topic}: `make up` makes it")
    partitions = found_topic.partitions
    found = {}
    for partition in sorted(partitions):
        bounds = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=READ_SECONDS)
        found[partition] = bounds or (0, 0)
    return found


def _read(consumer: Consumer, partition: int, low: int, high: int) -> Iterator[Letter]:
    if low >= high:
        return
    consumer.assign([TopicPartition(TOPICS.rejected_events, partition, low)])
    deadline, reached = time.monotonic() + READ_SECONDS, low
    while reached < high:
        for message in consumer.consume(BATCH, 0.5):
            if message.error() is not None:
                raise KafkaException(message.error())
            offset = message.offset() or 0
            reached = max(reached, offset + 1)
            deadline = time.monotonic() + READ_SECONDS
            if offset < high:
                yield letter_of(message)
        if time.monotonic() > deadline:
            raise DeadLetterError(f"{TOPICS.rejected_events}/{partition} ends at {reached}, not at {high}")


def letter_of(message: Message) -> Letter:
    """The letter that a record of the topic holds: its key is the place, its value the rejection."""
    key, value = message.key(), message.value() or b""
    try:
        if key is not None:
            return Letter(key.decode(), msgspec.json.decode(value, type=Rejection))
    except UNREADABLE:
        pass
    position = f"{message.partition()}/{message.offset()}"
    shown = value[:SHOWN].decode("utf-8", "replace")
    rejection = Rejection(
        source=TOPICS.rejected_events,
        position=position,
        reason=NO_LETTER,
        violations=[Violation("", shown, NO_LETTER)],
        original=value,
        rejected_at=NOT_KNOWN,
    )
    return Letter(f"{TOPICS.rejected_events}/{position}", rejection)


def counts(letters: Iterable[Letter]) -> dict[str, int]:
    """Letters by reason, the most frequent first."""
    return dict(Counter(letter.reason for letter in letters).most_common())
