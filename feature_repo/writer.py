"""The feature writer: follows `online_features` and writes the newest rows through the online store class.

At least once: how far it came stands in Redis, written after the rows (`feature_repo.progress`), and writing a row again is
harmless (row versions). What Redis has lost is read again within a second (`feature_repo.positions`).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
from confluent_kafka import Consumer, KafkaException, Message

from contracts.clock import Clock, to_micros
from contracts.features import CONSENT
from contracts.logs import RoomLog
from contracts.settings import TOPICS, Settings
from feature_repo.metrics import WriterMetrics
from feature_repo.patience import Patience, Stop, StoppedError
from feature_repo.positions import Positions
from feature_repo.progress import Progress
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
POLL_SECONDS = 0.05
HOUSEKEEPING_SECONDS = 1.0
MICROS = 1_000_000
RECORD_CHARACTERS = 200
# What a record is to blame for, not Redis: values that cannot be encoded, and a key that is taken.
POISON = (ValueError, TypeError, OverflowError, struct.error, pa.ArrowException)


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
    _patience: Patience = field(init=False)
    _positions: Positions = field(init=False)
    _tended_at: float = 0.0

    def __post_init__(self) -> None:
        self._online = online_config(self.settings)
        self._patience = Patience(self.metrics, self.stop)
        progress = Progress(self._store.client(self._online), self.settings.feast_project)
        self._positions = Positions(self.topic, progress, self._patience, self.metrics)

    def run(self) -> None:
        consumer = Consumer(_consumer_config(self.settings))
        consumer.subscribe(
            [self.topic], on_assign=self._positions.assigned, on_revoke=self._positions.revoked
        )
        log("following", topic=self.topic, group=GROUP)
        try:
            while not self.stop.wanted:
                self._take(consumer.consume(BATCH, POLL_SECONDS))
                self._tend(consumer)
            self._positions.commit(consumer)
        except StoppedError:
            log("stopped before Redis answered; the rows in hand will be read again", "warning")
        finally:
            consumer.close()
            log("closed", topic=self.topic)

    def _take(self, messages: Sequence[Message]) -> None:
        """Write the newest rows of one batch; then its offsets may be committed."""
        # A partition that was taken away meanwhile is read by whoever has it now.
        good = [m for m in messages if not _broken(m) and m.partition() in self._positions]
        if not good:
            return
        read = [record for message in good if (record := self._read(message)) is not None]
        newest = newest_records(read)
        self._write_what_can_be(read, newest)
        if not self._positions.move_on(_next_offsets(good)):
            self._tended_at = 0.0
        kept = sum(map(len, newest.values()))
        self.metrics.superseded.inc(len(read) - kept)

    def _write_what_can_be(self, read: Sequence[Record], newest: Mapping[str, Sequence[Record]]) -> None:
        """Write the batch; where one record of it cannot be stored, all but that one."""
        try:
            self._patience.redis(lambda: self._write(read, newest))
        except POISON:
            for record in read:
                self._write_alone(record)

    def _write_alone(self, record: Record) -> None:
        try:
            self._patience.redis(lambda: self._write([record], newest_records([record])))
        except POISON as error:
            self.metrics.poison.inc()
            log("poison", "warning", record=repr(record)[:RECORD_CHARACTERS], reason=str(error))

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
        """Once a second: see where Redis stands."""
        now = time.monotonic()
        if now - self._tended_at >= HOUSEKEEPING_SECONDS:
            self._tended_at = now
            self._positions.tend(consumer)


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
        # Many records are fetched at once, not one by one as they come: each fetch costs the broker as much as a record, and a
        # batch of few rows costs the writer nearly as much as one of many.
        "fetch.min.bytes": 64 * 1024,
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 5000,
        "allow.auto.create.topics": False,
    }
