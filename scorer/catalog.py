"""Follows the topic `catalog`, so that stock and price are right within a second of an update.

```
every partition from its begin ─► of each item the newest state that holds by now ─► the shelf of what serves
                                └► states that hold later, until they do
```
A thread of its own reads. A worker is ready when it has read what was there as it started; what it has read is its `offset`.
"""

from __future__ import annotations

import heapq
import logging
import threading
from contextlib import closing

import msgspec
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from contracts.catalog import CatalogState
from contracts.clock import Clock, to_micros
from contracts.settings import TOPICS
from models.decide.shelf import Shelf
from models.decide.snapshot import Snapshot
from scorer.metrics import Metrics

LOG = logging.getLogger("scorer.catalog")
STATE = msgspec.json.Decoder(CatalogState)
BATCH = 1000
POLL_SECONDS = 0.05
REACH_SECONDS = 5.0
AGAIN_SECONDS = 1.0
REMEMBERED_MICROS = 7 * 86_400_000_000
"""What took effect so long before a snapshot's cut is forgotten: no snapshot so old is gone back to."""


class CatalogFollower:
    """The newest states of all items, and the shelf that they are put on.

    Attributes:
        missing: why it is behind what was there when it started; None when it is not.
    """

    def __init__(self, bootstrap: str, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._kafka = {
            "bootstrap.servers": bootstrap,
            "group.id": "scorer-catalog",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "logger": logging.getLogger("scorer.kafka"),
        }
        self._states: dict[str, CatalogState] = {}
        self._later: list[tuple[int, int, CatalogState]] = []
        self._put = 0
        self._shelf: Shelf | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._offset: list[int] = []
        self.missing: str | None = f"{TOPICS.catalog} was not read yet"
        self._thread = threading.Thread(target=self._follow, name="follow catalog", daemon=True)
        self._thread.start()

    @property
    def offset(self) -> list[int]:
        """The next record to be read of each partition: what stands before it is on the shelf."""
        return list(self._offset)

    def stock(self, snapshot: Snapshot) -> Shelf:
        """A shelf for a snapshot, with what is known; from now on it is kept up to date, and the one before no more."""
        with self._lock:
            self._shelf = shelf = Shelf.of(snapshot, self._states.values())
            oldest = shelf.since - REMEMBERED_MICROS
            self._states = {n: state for n, state in self._states.items() if state.effective_time >= oldest}
        return shelf

    def close(self) -> None:
        """Stop reading."""
        self._stopped.set()
        self._thread.join(REACH_SECONDS)

    def _follow(self) -> None:
        """Read for ever; where Kafka fails, from where it was."""
        while not self._stopped.is_set():
            try:
                with closing(Consumer(self._kafka)) as consumer:
                    self._read(consumer)
            except KafkaException as error:
                self.missing = self.missing and f"{TOPICS.catalog} cannot be read: {error}"
                LOG.warning("the catalog cannot be read", extra={"cause": str(error)})
                self._stopped.wait(AGAIN_SECONDS)

    def _read(self, consumer: Consumer) -> None:
        ends = self._begin(consumer)
        while not self._stopped.is_set():
            messages = consumer.consume(BATCH, POLL_SECONDS)
            # One look at the clock for all: each that waits for a file gives the interpreter away, and requests take it.
            now = to_micros(self._clock.now())
            for message in messages:
                self._take(message, now)
            self._put_due(now)
            if self.missing is not None:
                behind = sum(max(0, end - at) for end, at in zip(ends, self._offset, strict=True))
                self.missing = f"{behind} records of {TOPICS.catalog} are to be read" if behind else None

    def _begin(self, consumer: Consumer) -> list[int]:
        """Take every partition, from where it was read to; returns their ends.

        Raises:
            KafkaException: Kafka or the topic is not there.
        """
        found = consumer.list_topics(TOPICS.catalog, timeout=REACH_SECONDS).topics[TOPICS.catalog]
        if found.error is not None:
            raise KafkaException(found.error)
        places = [TopicPartition(TOPICS.catalog, number) for number in sorted(found.partitions)]
        bounds = [consumer.get_watermark_offsets(place, timeout=REACH_SECONDS) for place in places]
        known = self._offset + [0] * (len(places) - len(self._offset))
        # Made anew, or compacted or removed behind: what is gone cannot be read, and offsets beyond the end are another topic's.
        self._offset = [
            at if low <= at <= high else low for at, (low, high) in zip(known, bounds, strict=True)
        ]
        for place, at in zip(places, self._offset, strict=True):
            place.offset = at
        consumer.assign(places)
        return [high for _, high in bounds]

    def _take(self, message: Message, now: int) -> None:
        if error := message.error():
            raise KafkaException(error)
        partition, offset, value = message.partition(), message.offset(), message.value()
        assert partition is not None
        assert offset is not None
        try:
            state = STATE.decode(value or b"")
        except msgspec.MsgspecError as error:
            self._metrics.catalog_updates.labels("refused").inc()
            where = {"partition": partition, "offset": offset, "cause": str(error)}
            LOG.error("a catalog update cannot be read; what is known stays", extra=where)
        else:
            self._keep(state, now)
        self._offset[partition] = offset + 1

    def _keep(self, state: CatalogState, now: int) -> None:
        """Put it on the shelf, now or when it holds."""
        if state.effective_time > now:
            self._put += 1
            heapq.heappush(self._later, (state.effective_time, self._put, state))
            return
        with self._lock:
            held = self._states.get(state.item_id)
            newer = held is None or state.effective_time >= held.effective_time
            if newer:
                self._states[state.item_id] = state
            shelved = newer and self._shelf is not None and self._shelf.put(state)
        self._metrics.catalog_updates.labels("shelved" if shelved else "known").inc()

    def _put_due(self, now: int) -> None:
        while self._later and self._later[0][0] <= now:
            self._keep(heapq.heappop(self._later)[2], now)
