"""Where the writer stands in each partition of `online_features`, by what Redis says of it (`feature_repo.progress`).

Where Redis says less than was stored, after a flush, a loss or an empty restart, the partition is read again from there, and
until it has come to where it was nobody uses a row: a withdrawal may be among what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.logs import RoomLog
from feature_repo.metrics import WriterMetrics
from feature_repo.patience import Patience
from feature_repo.progress import Bounds, Progress

log = RoomLog("feature_repo")
TOPIC_SECONDS = 30.0


@dataclass(slots=True)
class Positions:
    """The partitions of one member of the group."""

    topic: str
    progress: Progress
    patience: Patience
    metrics: WriterMetrics
    _stored: dict[int, int] = field(default_factory=dict)
    """By partition, how far the rows of this writer are in Redis."""
    _offsets: dict[int, int] = field(default_factory=dict)
    """What is to be committed."""
    _until: dict[int, int] = field(default_factory=dict)
    """Of the partitions that are read again, where that ends."""

    def __contains__(self, partition: int | None) -> bool:
        """Whether it is this member's."""
        return partition in self._stored

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group gave these: read on where Redis says."""
        places = self._places(consumer, [part.partition for part in partitions])
        self._stored.update({place.partition: place.offset for place in places})
        self._mark_lost(consumer, places)
        consumer.assign(places)

    def revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group took these away."""
        self.commit(consumer)
        for part in partitions:
            self._stored.pop(part.partition, None)
            self._offsets.pop(part.partition, None)

    def move_on(self, offsets: Mapping[int, int]) -> bool:
        """Tell Redis that the rows before these offsets are stored; False where it has lost something and is not told."""
        places = {number: (self._stored[number], offset) for number, offset in offsets.items()}
        passed = [number for number, end in self._until.items() if offsets.get(number, 0) >= end]
        if not self.patience.redis(lambda: self.progress.reached(places, passed)):
            return False
        for number in passed:
            del self._until[number]
        self._stored.update(offsets)
        self._offsets.update(offsets)
        return True

    def tend(self, consumer: Consumer) -> None:
        """Commit, read again what Redis has lost, and measure the lag."""
        self.commit(consumer)
        assigned = consumer.assignment()
        for place in self._places(consumer, [part.partition for part in assigned]):
            if place.offset != self._stored[place.partition]:
                log("redis is elsewhere", "warning", partition=place.partition, reading_from=place.offset)
                self._fall_back(place.partition, place.offset)
                consumer.seek(place)
        positions = consumer.position(assigned)
        self._end_rereading(positions)
        for position in positions:
            self._measure_lag(consumer, position)

    def commit(self, consumer: Consumer) -> None:
        """Tell the broker, for those who watch the lag; nobody waits for it, and where it is refused the next one counts."""
        if not self._offsets:
            return
        wanted = [TopicPartition(self.topic, number, offset) for number, offset in self._offsets.items()]
        try:
            consumer.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            log("commit refused", "warning", reason=str(error))
        self._offsets.clear()

    def _fall_back(self, number: int, offset: int) -> None:
        """Redis has lost its newest writes."""
        stored = self._stored[number]
        if offset < stored and number not in self._until:
            self._reread(number, stored)
        self._stored[number] = offset

    def _mark_lost(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Where the broker was told more than Redis still knows, the newest writes were lost while no writer looked."""
        told = self.patience.kafka(lambda: consumer.committed(list(places), timeout=TOPIC_SECONDS))
        for place, committed in zip(places, told, strict=True):
            if committed.offset > place.offset and place.partition not in self._until:
                end = min(committed.offset, self._bounds(consumer, place.partition).high)
                if end > place.offset:
                    self._reread(place.partition, end)

    def _reread(self, number: int, end: int) -> None:
        self.patience.redis(lambda: self.progress.reread(number, end))
        self._until[number] = end

    def _end_rereading(self, positions: Sequence[TopicPartition]) -> None:
        """Of partitions that have passed their end without a record at it, as after the topic was emptied."""
        passed = [p.partition for p in positions if p.offset >= self._until.get(p.partition, p.offset + 1)]
        if passed:
            self.patience.redis(lambda: self.progress.reached({}, passed))
            for number in passed:
                del self._until[number]

    def _places(self, consumer: Consumer, numbers: Sequence[int]) -> list[TopicPartition]:
        """Where Redis says to go on; at the beginning of partitions of which it says nothing, or more than there is."""
        held = self.patience.redis(lambda: self.progress.positions(numbers))
        bounds = {number: self._bounds(consumer, number) for number in numbers if self._is_new(number, held)}
        lost = {n: bound for n, bound in bounds.items() if n not in held or held[n] > bound.high}
        if lost:
            count = self.patience.kafka(lambda: _partitions(consumer, self.topic))
            self.patience.redis(lambda: self.progress.begin(lost, count))
            self.metrics.rebuilds.inc(len(lost))
            log("reading from the beginning", partitions=list(lost))
        self._until.update(self.patience.redis(lambda: self.progress.ends(numbers)))
        begins = held | {number: bound.low for number, bound in lost.items()}
        return [TopicPartition(self.topic, number, begins[number]) for number in numbers]

    def _is_new(self, number: int, held: Mapping[int, int]) -> bool:
        """Whether the broker is to be asked: of what this writer has stored itself it knows that it is there."""
        return number not in held or number not in self._stored

    def _bounds(self, consumer: Consumer, number: int) -> Bounds:
        place = TopicPartition(self.topic, number)
        return self.patience.kafka(
            lambda: Bounds(*consumer.get_watermark_offsets(place, timeout=TOPIC_SECONDS))
        )

    def _measure_lag(self, consumer: Consumer, position: TopicPartition) -> None:
        _, end = consumer.get_watermark_offsets(position, cached=True)
        if end >= 0 and position.offset >= 0:
            self.metrics.lag.labels(position.partition).set(max(0, end - position.offset))


def _partitions(consumer: Consumer, topic: str) -> int:
    return len(consumer.list_topics(topic, timeout=TOPIC_SECONDS).topics[topic].partitions)
