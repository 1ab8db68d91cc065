"""Follows the topic `catalog`, so that stock and price are right within a second of an update.

```
every partition from its begin ─► of each item the newest state that holds by now ─► the shelf of what serves
                                └► states that hold later, until they do
```
A worker is ready when it has read what was there as it started; what it has read is its `offset`.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Sequence
from datetime import date
from weakref import WeakSet

import msgspec
from confluent_kafka import Message

from contracts.catalog import CatalogState
from contracts.clock import Clock, to_micros
from contracts.cuts import Cut
from contracts.errors import UNREADABLE
from contracts.settings import TOPICS
from models.decide.shelf import Shelf
from models.decide.snapshot import Snapshot
from scorer.metrics import Metrics
from scorer.reader import TopicReader

LOG = logging.getLogger("scorer.catalog")
STATE = msgspec.json.Decoder(CatalogState)
AT_ONCE = 5_000
"""States put on a new shelf before the next update has its turn."""
REMEMBERED_MICROS = 7 * 86_400_000_000
"""What took effect so long before a snapshot's cut, and stands in it, is forgotten: no snapshot so old is gone back to."""


class CatalogFollower:
    """The newest states of all items, and the shelf that they are put on."""

    def __init__(self, bootstrap: str, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._states: dict[str, CatalogState] = {}
        self._later: list[tuple[int, int, CatalogState]] = []
        self._put = 0
        self._shelves: WeakSet[Shelf] = WeakSet()
        self._lock = threading.Lock()
        self._reader = TopicReader(bootstrap, TOPICS.catalog, self._take)
        self._reader.start()

    @property
    def offset(self) -> list[int]:
        """The next record to be read of each partition: what stands before it is on the shelf."""
        return self._reader.offset

    @property
    def missing(self) -> str | None:
        """Why it is behind what was there when it started; None when it is not."""
        return self._reader.missing

    def stock(self, snapshot: Snapshot) -> Shelf:
        """A shelf for a snapshot, with what is known; from now on it is kept up to date as long as anybody holds it, beside the one that serves until it does."""
        shelf = Shelf.of(snapshot)
        oldest = to_micros(Cut(date.fromisoformat(snapshot.cut_on)).end) - REMEMBERED_MICROS
        with self._lock:
            self._shelves.add(shelf)
            known = list(self._states.values())
        for begin in range(0, len(known), AT_ONCE):
            # In between, what comes meanwhile is put, on this shelf too: a state that another took the place of is too late.
            with self._lock:
                for state in known[begin : begin + AT_ONCE]:
                    if self._states.get(state.item_id) is not state or shelf.put(state):
                        continue
                    if state.effective_time < oldest and shelf.knows(state):
                        del self._states[state.item_id]
        return shelf

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _take(self, messages: Sequence[Message]) -> None:
        # One look at the clock for all: each that waits for a file gives the interpreter away, and requests take it.
        now = to_micros(self._clock.now())
        for message in messages:
            try:
                state = STATE.decode(message.value() or b"")
            except UNREADABLE as error:
                self._metrics.catalog_updates.labels("refused").inc()
                where = {
                    "partition": message.partition(),
                    "offset": message.offset(),
                    "cause": str(error),
                }
                LOG.error("a catalog update cannot be read; what is known stays", extra=where)
            else:
                self._keep(state, now)
        self._put_due(now)

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
            shelved = newer and sum(shelf.put(state) for shelf in self._shelves) > 0
        self._metrics.catalog_updates.labels("shelved" if shelved else "known").inc()

    def _put_due(self, now: int) -> None:
        while self._later and self._later[0][0] <= now:
            self._keep(heapq.heappop(self._later)[2], now)
