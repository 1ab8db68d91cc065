"""Who is let in when more is asked than can be answered at once: the pages where shoppers buy come first.

```
product, cart, checkout ─► WHOLE at a time; FIRST_LINE may wait, the next gets 503, at once, with Retry-After
the others              ─► the same while fewer than SOFT are there, for PATIENCE_SECONDS; else a light answer, LIGHT at a time;
                           LINE may wait
```
A light answer is one that nothing has to be read for (`overloaded` is its cause). A burst waits its turn; what waits longer than the lines are is sent away.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from contracts.policy import PlacementName
from scorer.metrics import Metrics
from scorer.problems import ProblemError

FIRST: frozenset[PlacementName] = frozenset({"product", "cart", "checkout"})
WHOLE, SOFT = 8, 12
"""Whole answers under way in one worker, and how many may be under way or wait before other pages get light ones. One takes some
milliseconds of the one thread: `WHOLE` of them must be less than the time that a read of Redis is given (`store.READ_BUDGET_SECONDS`), else
answers that lie there already would pass for a Redis that is silent."""
LIGHT = 1
"""Light answers in one turn of the loop: in between, what Redis has answered is taken."""
FIRST_LINE, LINE = 48, 16
"""What comes in bursts waits rather than being sent away."""
PATIENCE_SECONDS = 0.25
"""Whoever stands behind the first pages so long has a light answer: first pages alone can take every place."""


class Lane:
    """So many at a time; who comes first stands in a line of its own, before the others'."""

    def __init__(self, places: int, refused: Callable[[], None]) -> None:
        """`refused` is told of each that is sent away."""
        self._places, self._refused = places, refused
        self._first: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()
        self.under_way = 0

    @property
    def waiting(self) -> int:
        return len(self._first) + len(self._others)

    async def enter(self, *, first: bool) -> None:
        """Wait for a place, and have it until `leave`.

        Raises:
            ProblemError: 503, too many wait.
        """
        line, most = (self._first, FIRST_LINE) if first else (self._others, LINE)
        if self.under_way < self._places:
            self.under_way += 1
            return
        if len(line) >= most:
            self._refused()
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, f"{len(line)} requests wait; ask again")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave()
            # Whoever left meanwhile may have passed over it already.
            with suppress(ValueError):
                line.remove(turn)
            raise

    def leave(self) -> None:
        """The place goes to who waits longest, of the first line before the others."""
        while line := self._first or self._others:
            turn = line.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.under_way -= 1


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
        first = placement in FIRST
        whole = first or self._whole.under_way + self._whole.waiting < SOFT
        if whole:
            try:
                async with asyncio.timeout(None if first else PATIENCE_SECONDS):
                    await self._whole.enter(first=first)
            except TimeoutError:
                whole = False
        lane = self._whole if whole else self._light
        if not whole:
            await lane.enter(first=first)
        try:
            if not whole:
                self._metrics.shed.labels("light").inc()
                # Who never waits keeps all others waiting.
                await asyncio.sleep(0)
            yield whole
        finally:
            lane.leave()
