"""Reads a topic as long as the service runs: every partition, by a worker of its own, from the begin or from a time on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

BATCH = 1000
POLL_SECONDS = 0.05
REACH_SECONDS = 5.0
AGAIN_SECONDS = 1.0
LOOK_SECONDS = 60.0
"""A topic that was given more partitions is seen to have them."""
REFUSALS = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED)

Take = Callable[[Sequence[Message]], None]


class TopicReader:
    """Hands what comes to `take`, in a thread of its own, and nothing at least every 50 ms; where Kafka fails, on from where it was.

    Attributes:
        missing: why it is behind what was there when it started; None when it is not.
        refused: whether there is no such topic, or none that it may read.
    """

    def __init__(self, bootstrap: str, topic: str, take: Take, back: timedelta | None = None) -> None:
        """`back`: how far before its start it begins, by Kafka's times; None from the first record."""
        self._topic, self._take, self._back = topic, take, back
        self._log = logging.getLogger(f"scorer.{topic}")
        self._kafka = {
            "bootstrap.servers": bootstrap,
            "group.id": f"scorer-{topic}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.min.bytes": 64 * 1024,
            "fetch.wait.max.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "logger": logging.getLogger("scorer.kafka"),
        }
        self._stopped = threading.Event()
        self._offset: list[int] = []
        self.missing: str | None = f"{topic} was not read yet"
        self.refused = False
        self._thread = threading.Thread(target=self._follow, name=f"follow {topic}", daemon=True)

    @property
    def offset(self) -> list[int]:
        """The next record to be read of each partition: what stands before it was taken."""
        return list(self._offset)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._thread.join(REACH_SECONDS)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                with closing(Consumer(self._kafka)) as consumer:
                    self._read(consumer)
            except KafkaException as error:
                self.missing = self.missing and f"{self._topic} cannot be read: {error}"
                self.refused = error.args[0].code() in REFUSALS
                self._log.warning("the topic cannot be read", extra={"cause": str(error)})
                self._stopped.wait(AGAIN_SECONDS)
            except Exception:
                # Whatever it is: what is known goes on serving, and it is tried again.
                self._log.exception("following the topic failed")
                self._stopped.wait(AGAIN_SECONDS)

    def _read(self, consumer: Consumer) -> None:
        """Read until it is stopped, or the topic has other partitions."""
        ends = self._begin(consumer)
        self.refused, looked = False, time.monotonic()
        while not self._stopped.is_set():
            if time.monotonic() - looked > LOOK_SECONDS:
                looked = time.monotonic()
                if len(self._partitions(consumer)) != len(self._offset):
                    return
            messages = consumer.consume(BATCH, POLL_SECONDS)
            for message in messages:
                if error := message.error():
                    raise KafkaException(error)
            self._take(messages)
            for partition, offset in _places(messages):
                self._offset[partition] = offset + 1
            if self.missing is not None:
                behind = sum(max(0, end - at) for end, at in zip(ends, self._offset, strict=True))
                self.missing = f"{behind} records of {self._topic} are to be read" if behind else None

    def _begin(self, consumer: Consumer) -> list[int]:
        """Take every partition, from where it was read to; returns their ends.

        Raises:
            KafkaException: Kafka or the topic is not there.
        """
        places = [TopicPartition(self._topic, number) for number in self._partitions(consumer)]
        bounds = [consumer.get_watermark_offsets(place, timeout=REACH_SECONDS) for place in places]
        if not self._offset and self._back is not None:
            self._offset = _since(consumer, places, self._back, [high for _, high in bounds])
        known = [*self._offset, *[0] * len(places)][: len(places)]
        # Made anew, or compacted or removed behind: what is gone cannot be read, and offsets beyond the end are another topic's.
        self._offset = [
            at if low <= at <= high else low for at, (low, high) in zip(known, bounds, strict=True)
        ]
        for place, at in zip(places, self._offset, strict=True):
            place.offset = at
        consumer.assign(places)
        return [high for _, high in bounds]

    def _partitions(self, consumer: Consumer) -> list[int]:
        found = consumer.list_topics(self._topic, timeout=REACH_SECONDS).topics[self._topic]
        if found.error is not None:
            raise KafkaException(found.error)
        return sorted(found.partitions)


def _since(
    consumer: Consumer, places: Sequence[TopicPartition], back: timedelta, ends: Sequence[int]
) -> list[int]:
    """The first offset of each partition that is not older; its end where there is none."""
    millis = int((time.time() - back.total_seconds()) * 1000)
    asked = [TopicPartition(place.topic, place.partition, millis) for place in places]
    found = consumer.offsets_for_times(asked, timeout=REACH_SECONDS)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return [end if place.offset < 0 else place.offset for place, end in zip(found, ends, strict=True)]


def _places(messages: Sequence[Message]) -> list[tuple[int, int]]:
    found = []
    for message in messages:
        partition, offset = message.partition(), message.offset()
        assert partition is not None
        assert offset is not None
        found.append((partition, offset))
    return found
