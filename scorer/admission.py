"""Who is let in when more is asked than can be answered at once: the pages where shoppers buy come first.

```
product, cart, checkout ─► WHOLE under way ─► a line of LINE ─► 503, at once, with Retry-After
the others: as long as fewer than SOFT are under way, the same; else LIGHT at a time ─► a line of LINE ─► 503
```
A light answer is one that nothing has to be read for (`overloaded` is its cause). A burst waits its turn; what waits longer than the lines are is sent away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from contracts.policy import PlacementName
from scorer.metrics import Metrics
from scorer.problems import ProblemError

FIRST: frozenset[PlacementName] = frozenset({"product", "cart", "checkout"})
SOFT, WHOLE = 4, 16
"""Whole answers under way in one worker. One takes some milliseconds of the one thread: `WHOLE` of them must be less than the time that a
read of Redis is given (`store.READ_BUDGET_SECONDS`), else answers that lie there already would pass for a Redis that is silent."""
LIGHT = 2
"""Light answers in one turn of the loop: in between, what Redis has answered is taken."""
LINE = 32


class Lane:
    """So many at a time, so many that wait."""

    def __init__(self, places: int, refused: Callable[[], None]) -> None:
        """`refused` is told of each that is sent away."""
        self._places, self._refused = asyncio.Semaphore(places), refused
        self.under_way = self.waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place, and have it.

        Raises:
            ProblemError: 503, too many wait.
        """
        if self.waiting >= LINE:
            self._refused()
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"{self.waiting} requests wait; ask again")
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1
            self._places.release()


class Admission:
    """Both lanes of a worker."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        refused = metrics.shed.labels("refused").inc
        self._whole, self._light = Lane(WHOLE, refused), Lane(LIGHT, refused)

    @property
    def under_way(self) -> int:
        return self._whole.under_way + self._light.under_way

    @asynccontextmanager
    async def let_in(self, placement: PlacementName) -> AsyncIterator[bool]:
        """Whether the request has the full path, once it is its turn.

        Raises:
            ProblemError: 503, too many wait.
        """
        whole = placement in FIRST or self._whole.under_way < SOFT
        async with (self._whole if whole else self._light).place():
            if not whole:
                self._metrics.shed.labels("light").inc()
                # Who never waits keeps all others waiting.
                await asyncio.sleep(0)
            yield whole
