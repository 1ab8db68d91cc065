"""Follows the topic `item_trends`: what shoppers take within this hour lies on the shelf of what serves.

```
windows of an hour, a row a minute of each item that has any ─► of each item its newest ─► those that end now ─► the shelf
```
A row that the minutes after it do not renew is of an item that nobody takes any more.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

import msgspec
from confluent_kafka import Message

from contracts.clock import Clock, to_micros
from contracts.features import ITEM_TRENDS
from contracts.settings import TOPICS
from models.decide.shelf import Shelf
from models.decide.trends import LEAST, trending
from scorer.metrics import Metrics
from scorer.reader import TopicReader

LOG = logging.getLogger("scorer.trends")
[HOUR] = [view for view in ITEM_TRENDS if view.window_minutes == 60]
WINDOW = timedelta(hours=1)
RENEWED_MICROS = 2 * 60_000_000
"""A row whose window ended so long before the newest one was not renewed."""


class TrendRow(msgspec.Struct, frozen=True):
    """What is read of a row; its other fields are not."""

    view: str
    item_id: str
    window_end: int
    carts: int = msgspec.field(name="item_trend_carts_1h", default=0)


ROW = msgspec.json.Decoder(TrendRow)


class TrendFollower:
    """Of each item in a rush the newest window, and the shelf that they are put on."""

    def __init__(self, bootstrap: str, clock: Clock, metrics: Metrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._rows: dict[str, TrendRow] = {}
        self._newest = 0
        self._shelf: Shelf | None = None
        self._lock = threading.Lock()
        self._reader = TopicReader(bootstrap, TOPICS.item_trends, self._take, WINDOW)
        self._reader.start()

    @property
    def missing(self) -> str | None:
        """Why it is behind what was there when it started; None when it is not."""
        return self._reader.missing

    def put_on(self, shelf: Shelf) -> Shelf:
        """The shelf, with what is trending; from now on it is kept up to date, and the one before no more."""
        with self._lock:
            self._shelf = shelf
            self._put()
        return shelf

    def close(self) -> None:
        """Stop reading."""
        self._reader.close()

    def _take(self, messages: Sequence[Message]) -> None:
        now = to_micros(self._clock.now())
        with self._lock:
            changed = [self._keep(message, now) for message in messages]
            newest = self._newest if self._newest + HOUR.freshness_seconds * 1_000_000 > now else now
            over = [i for i, row in self._rows.items() if row.window_end <= newest - RENEWED_MICROS]
            for item in over:
                del self._rows[item]
            if over or any(changed):
                self._put()

    def _keep(self, message: Message, now: int) -> bool:
        """Whether what is known of a rush changed; what ends in the future is of a wrong clock."""
        try:
            row = ROW.decode(message.value() or b"")
        except msgspec.MsgspecError as error:
            where = {"partition": message.partition(), "offset": message.offset(), "cause": str(error)}
            LOG.error("a trend cannot be read; what is known stays", extra=where)
            return False
        if row.view != HOUR.name or row.window_end > now + RENEWED_MICROS:
            return False
        held = self._rows.get(row.item_id)
        # A job that begins anew writes old windows again.
        if held is not None and row.window_end < held.window_end:
            return False
        self._newest = max(self._newest, row.window_end)
        if row.carts >= LEAST:
            self._rows[row.item_id] = row
        elif held is not None:
            del self._rows[row.item_id]
        return held is not None or row.carts >= LEAST

    def _put(self) -> None:
        self._metrics.trending.set(len(self._rows))
        if self._shelf is not None:
            additions = {item: row.carts for item, row in self._rows.items()}
            self._shelf.trending = trending(additions, self._shelf.index)
