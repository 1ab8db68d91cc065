"""Follows the topic `item_trends`: what is in a rush lies on the shelf of what serves.

```
windows of an hour, every five minutes a row of each item with five events or more ─► of each item its newest ─► those that end now ─► the shelf
```
A row that the windows after it do not renew is of an item that nobody takes any more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from confluent_kafka import Message

from contracts.clock import Clock, to_micros
from contracts.errors import UNREADABLE
from contracts.features import ITEM_TRENDS
from contracts.settings import TOPICS
from models.decide.shelf import Shelf
from models.decide.snapshot import Snapshot
from models.decide.trends import LEAST, trending
from scorer.metrics import Metrics
from scorer.reader import BATCH, TopicReader

LOG = logging.getLogger("scorer.trends")
[HOUR] = [view for view in ITEM_TRENDS if view.window_minutes == 60]
NAMED = f'"{HOUR.name}"'.encode()
MINUTE = 60_000_000
SLIDE = HOUR.slide_minutes * MINUTE
RENEWED, HELD = 2 * SLIDE, HOUR.freshness_seconds * 1_000_000
"""A row is over when windows go so far beyond its own, or when none came for so long."""
AHEAD = 2 * MINUTE
"""What ends later than that from now is of a wrong clock."""
BACK = timedelta(microseconds=HELD + SLIDE)
"""How far back a worker that starts reads: what is held was written since."""
LOOK_SECONDS = 1.0


class TrendRow(msgspec.Struct, frozen=True):
    """What is read of a row; its other fields are not."""

    view: str
    item_id: str
    window_end: int
    carts: int = msgspec.field(name="item_trend_carts_1h", default=0)


ROW = msgspec.json.Decoder(TrendRow)


class TrendFollower:
    """Of each item with additions enough the newest window, and the shelf that they are put on."""

    def __init__(self, bootstrap: str, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._rows: dict[str, TrendRow] = {}
        self._newest, self._looked = 0, 0.0
        self._changed = False
        self._on: tuple[Shelf, Snapshot] | None = None
        self._lock = threading.Lock()
        self._reader = TopicReader(bootstrap, TOPICS.item_trends, self._take, BACK)
        self._reader.start()

    @property
    def missing(self) -> str | None:
        """Why it is behind what was there when it started; None when it is not, or may not read: a rush is no condition of serving."""
        return None if self._reader.refused else self._reader.missing

    def put_on(self, shelf: Shelf, snapshot: Snapshot) -> Shelf:
        """The snapshot's shelf, with what is trending; from now on it is kept up to date, and the one before no more."""
        with self._lock:
            self._on = (shelf, snapshot)
            self._put()
        return shelf

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _take(self, messages: Sequence[Message]) -> None:
        now = to_micros(self._clock.now())
        with self._lock:
            if self._newest > now + AHEAD:
                # The clock was put back.
                self._rows, self._newest, self._changed = {}, 0, True
            for message in messages:
                self._keep(message, now)
            if time.monotonic() - self._looked > LOOK_SECONDS:
                self._looked = time.monotonic()
                self._forget(now)
            # Of a burst the last batch puts what all of them brought.
            if self._changed and len(messages) < BATCH:
                self._put()

    def _keep(self, message: Message, now: int) -> None:
        value = message.value() or b""
        if NAMED not in value:
            return
        try:
            row = ROW.decode(value)
        except UNREADABLE as error:
            self._metrics.trends_refused.inc()
            where = {"partition": message.partition(), "offset": message.offset(), "cause": str(error)}
            LOG.error("a trend cannot be read; what is known stays", extra=where)
            return
        held = self._rows.get(row.item_id)
        # A job that begins anew writes old windows again.
        if row.window_end > now + AHEAD or (held is not None and row.window_end < held.window_end):
            return
        self._newest = max(self._newest, row.window_end)
        if row.carts >= LEAST:
            self._rows[row.item_id] = row
            self._changed = True
        elif held is not None:
            del self._rows[row.item_id]
            self._changed = True

    def _forget(self, now: int) -> None:
        oldest = max(self._newest - RENEWED, now - HELD)
        over = [item for item, row in self._rows.items() if row.window_end <= oldest]
        for item in over:
            del self._rows[item]
        self._changed = self._changed or bool(over)

    def _put(self) -> None:
        self._changed = False
        if self._on is not None:
            shelf, snapshot = self._on
            additions = {item: row.carts for item, row in self._rows.items()}
            shelf.trending = trending(additions, snapshot.index, snapshot.popularity)
            self._metrics.trending.set(len(shelf.trending))
