"""The feature writer: follows `online_features` and writes the newest rows through the online store class.

At least once: how far it came stands in Redis, written after the rows (`feature_repo.progress`), and writing a row again is
harmless (row versions). Where Redis says less than was stored, after a flush, a loss or an empty restart, the writer reads
again from there, within a second. Offsets are committed to Kafka for those who watch the lag.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from redis.exceptions import RedisError

from contracts.clock import Clock, to_micros
from contracts.features import CONSENT
from contracts.logs import RoomLog
from contracts.settings import TOPICS, Settings
from feature_repo.metrics import WriterMetrics
from feature_repo.progress import Bounds, Progress
from feature_repo.repo import online_config
from feature_repo.rows import (
    Forgotten,
    PoisonError,
    Record,
    columns_of,
    newest_records,
    place_of,
    read_record,
    withdrawn,
)
from feature_repo.store import VersionedRedisOnlineStore, VersionedRedisOnlineStoreConfig
from feature_repo.withdrawals import erased, newest_tombstones

log = RoomLog("feature_repo")
GROUP = "feature-writer"
BATCH = 10_000
"""Messages at most: a writer that is behind keeps the newest row of each key of so many."""
POLL_SECONDS = 0.02
HOUSEKEEPING_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
TOPIC_SECONDS = 30.0
MICROS = 1_000_000
Result = TypeVar("Result")


class StoppedError(Exception):
    """The writer was told to stop while it waited for Redis."""


@dataclass(slots=True)
class Stop:
    """Set by a signal handler, looked at by the loop."""

    wanted: bool = False


@dataclass(slots=True)
class FeatureWriter:
    """One member of the group; `run` returns when `stop.wanted`, after the rows in hand are written."""

    settings: Settings
    clock: Clock
    metrics: WriterMetrics
    stop: Stop = field(default_factory=Stop)
    topic: str = TOPICS.online_features
    _store: VersionedRedisOnlineStore = field(default_factory=VersionedRedisOnlineStore)
    _online: VersionedRedisOnlineStoreConfig = field(init=False)
    _progress: Progress = field(init=False)
    _stored: dict[int, int] = field(default_factory=dict)
    """By partition, how far the rows of this writer are in Redis."""
    _offsets: dict[int, int] = field(default_factory=dict)
    """What is to be committed."""
    _until: dict[int, int] = field(default_factory=dict)
    """Of the partitions that are read again, where that ends."""
    _tended_at: float = 0.0

    def __post_init__(self) -> None:
        self._online = online_config(self.settings)
        self._progress = Progress(self._store.client(self._online), self.settings.feast_project)

    def run(self) -> None:
        consumer = Consumer(_consumer_config(self.settings))
        consumer.subscribe([self.topic], on_assign=self._assigned, on_revoke=self._revoked)
        log("following", topic=self.topic, group=GROUP)
        try:
            while not self.stop.wanted:
                self._take(consumer.consume(BATCH, POLL_SECONDS))
                self._tend(consumer)
            self._commit(consumer)
        except StoppedError:
            log("stopped before Redis answered; the rows in hand will be read again", "warning")
        finally:
            consumer.close()
            log("closed", topic=self.topic)

    def _take(self, messages: Sequence[Message]) -> None:
        """Write the newest rows of one batch; then its offsets may be committed."""
        # A partition that was taken away meanwhile is read by whoever has it now.
        good = [m for m in messages if not _broken(m) and m.partition() in self._stored]
        if not good:
            return
        read = [record for message in good if (record := self._read(message)) is not None]
        newest = newest_records(read)
        self._until_redis_answers(lambda: self._write(read, newest))
        self._keep_progress(_next_offsets(good))
        kept = sum(map(len, newest.values()))
        self.metrics.superseded.inc(len(read) - kept)

    def _write(self, read: Sequence[Record], newest: Mapping[str, Sequence[Record]]) -> None:
        """Tombstones of every erasure and withdrawal read, then the newest rows.

        Who can read a withdrawal finds nothing else.
        """
        self._forget([record for record in read if isinstance(record, Forgotten)])
        self._withdraw(read)
        for view, records in newest.items():
            rows = columns_of(self.settings.feast_project, view, records)
            written = self._store.write_columns(self._online, rows)
            self.metrics.written.inc(written.rows)
            self.metrics.older.inc(written.older)
            self._observe(records)

    def _forget(self, erasures: Sequence[Forgotten]) -> None:
        gone = newest_tombstones(
            tombstone
            for erasure in erasures
            for tombstone in erased(self.settings.feast_project, erasure.key, erasure.at)
        )
        if gone:
            self.metrics.erased.inc(self._store.leave_tombstones(self._online, gone))

    def _withdraw(self, read: Sequence[Record]) -> None:
        """Leave the tombstones of every withdrawal but those that the store holds a newer choice than.

        One that is read again after that takes nothing away any more.
        """
        withdrawals = [
            (record, gone) for record in read if (gone := withdrawn(self.settings.feast_project, record))
        ]
        if not withdrawals:
            return
        places = [place_of(self.settings.feast_project, record) for record, _ in withdrawals]
        fresh = self._store.not_older(self._online, CONSENT.name, places)
        pairs = zip(withdrawals, fresh, strict=True)
        newest = newest_tombstones(
            tombstone for (_, left), is_fresh in pairs if is_fresh for tombstone in left
        )
        self.metrics.withdrawn.inc(self._store.leave_tombstones(self._online, newest))

    def _read(self, message: Message) -> Record | None:
        value = message.value()
        if value is None:
            self.metrics.tombstones.inc()
            return None
        try:
            return read_record(value)
        except PoisonError as error:
            self.metrics.poison.inc()
            log(
                "poison", "warning", partition=message.partition(), offset=message.offset(), reason=str(error)
            )
            return None

    def _observe(self, records: Iterable[Record]) -> None:
        now = to_micros(self.clock.now())
        for record in records:
            self.metrics.delay.observe(max(0, now - record.newest_event_time) / MICROS)

    def _tend(self, consumer: Consumer) -> None:
        """Once a second: commit, measure the lag, and read again what Redis has lost."""
        now = time.monotonic()
        if now - self._tended_at < HOUSEKEEPING_SECONDS:
            return
        self._tended_at = now
        self._commit(consumer)
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

    def _fall_back(self, number: int, offset: int) -> None:
        """Redis has lost its newest writes: until they are read again a withdrawal may be among them."""
        stored = self._stored[number]
        if 0 < offset < stored:
            self._until_redis_answers(lambda: self._progress.reread(number, stored))
            self._until[number] = stored
        self._stored[number] = offset

    def _end_rereading(self, positions: Sequence[TopicPartition]) -> None:
        """Of partitions that have passed their end without a record at it, as after the topic was emptied."""
        passed = [p.partition for p in positions if p.offset >= self._until.get(p.partition, p.offset + 1)]
        if passed:
            self._until_redis_answers(lambda: self._progress.reached({}, passed))
            for number in passed:
                del self._until[number]

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        places = self._places(consumer, [part.partition for part in partitions])
        self._stored.update({place.partition: place.offset for place in places})
        consumer.assign(places)

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._commit(consumer)
        for part in partitions:
            self._stored.pop(part.partition, None)
            self._offsets.pop(part.partition, None)

    def _places(self, consumer: Consumer, numbers: Sequence[int]) -> list[TopicPartition]:
        """Where Redis says to go on; at the beginning of partitions of which it says nothing, or more than there is."""
        held = self._until_redis_answers(lambda: self._progress.positions(numbers))
        bounds = {number: self._bounds(consumer, number) for number in numbers if self._is_new(number, held)}
        lost = {n: bound for n, bound in bounds.items() if n not in held or held[n] > bound.high}
        if lost:
            count = self._until_kafka_answers(lambda: _partitions(consumer, self.topic))
            self._until_redis_answers(lambda: self._progress.begin(lost, count))
            self.metrics.rebuilds.inc(len(lost))
            log("reading from the beginning", partitions=list(lost))
        self._until.update(self._until_redis_answers(lambda: self._progress.ends(numbers)))
        begins = held | {number: bound.low for number, bound in lost.items()}
        return [TopicPartition(self.topic, number, begins[number]) for number in numbers]

    def _is_new(self, number: int, held: Mapping[int, int]) -> bool:
        """Whether the broker is to be asked: of what this writer has stored itself it knows that it is there."""
        return number not in held or number not in self._stored

    def _bounds(self, consumer: Consumer, number: int) -> Bounds:
        place = TopicPartition(self.topic, number)
        return self._until_kafka_answers(
            lambda: Bounds(*consumer.get_watermark_offsets(place, timeout=TOPIC_SECONDS))
        )

    def _until_kafka_answers(self, call: Callable[[], Result]) -> Result:
        """`call`, again and again while the broker is away.

        Raises:
            StoppedError: the writer was told to stop meanwhile.
        """
        while True:
            try:
                return call()
            except KafkaException as error:
                if self.stop.wanted:
                    raise StoppedError from error
                log("kafka does not answer", "warning", reason=str(error))
            time.sleep(FIRST_PAUSE_SECONDS)

    def _keep_progress(self, offsets: Mapping[int, int]) -> None:
        """Tell Redis how far its rows are; where it has lost something it says so at the next look, and is not told."""
        places = {number: (self._stored[number], offset) for number, offset in offsets.items()}
        passed = [number for number, end in self._until.items() if offsets.get(number, 0) >= end]
        if self._until_redis_answers(lambda: self._progress.reached(places, passed)):
            for number in passed:
                del self._until[number]
            self._stored.update(offsets)
            self._offsets.update(offsets)
        else:
            self._tended_at = 0.0

    def _commit(self, consumer: Consumer) -> None:
        """Tell the broker, for those who watch the lag; nobody waits for it, and where it is refused the next one counts."""
        if not self._offsets:
            return
        wanted = [TopicPartition(self.topic, number, offset) for number, offset in self._offsets.items()]
        try:
            consumer.commit(offsets=wanted, asynchronous=True)
        except KafkaException as error:
            log("commit refused", "warning", reason=str(error))
        self._offsets.clear()

    def _measure_lag(self, consumer: Consumer, position: TopicPartition) -> None:
        _, end = consumer.get_watermark_offsets(position, cached=True)
        if end >= 0 and position.offset >= 0:
            self.metrics.lag.labels(position.partition).set(max(0, end - position.offset))

    def _until_redis_answers(self, call: Callable[[], Result]) -> Result:
        """`call`, again and again with growing pauses while Redis is away.

        Raises:
            StoppedError: the writer was told to stop meanwhile.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except RedisError as error:
                if self.stop.wanted:
                    raise StoppedError from error
                self.metrics.retries.inc()
                log("redis does not answer", "warning", reason=str(error), pause_seconds=pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _partitions(consumer: Consumer, topic: str) -> int:
    return len(consumer.list_topics(topic, timeout=TOPIC_SECONDS).topics[topic].partitions)


def _next_offsets(messages: Sequence[Message]) -> dict[int, int]:
    """By partition the offset after its last message."""
    found: dict[int, int] = {}
    for message in messages:
        partition, offset = message.partition(), message.offset()
        assert partition is not None and offset is not None
        found[partition] = offset + 1
    return found


def _broken(message: Message) -> bool:
    """Whether the message is a consumer error; librdkafka reconnects by itself, a fatal error ends the process.

    Raises:
        KafkaException: the consumer cannot go on.
    """
    error = message.error()
    if error is None:
        return False
    if error.fatal():
        raise KafkaException(error)
    log("kafka", "warning", reason=error.str())
    return True


def _consumer_config(settings: Settings) -> dict[str, str | int | bool]:
    return {
        "bootstrap.servers": settings.kafka_bootstrap,
        "group.id": GROUP,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        # A killed writer's partitions are free again after this.
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1500,
        "fetch.wait.max.ms": 20,
        "fetch.error.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 5000,
        "allow.auto.create.topics": False,
    }
