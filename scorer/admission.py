"""Who is let in when more is asked than can be answered: the pages where shoppers buy come first.

A request that waits makes all behind it wait. So beyond `SOFT` requests under way other pages than product, cart and checkout get the answer that
nothing has to be read for (`overloaded` is its cause), beyond `MIDDLE` they are not let in, and beyond `HARD` nobody is: 503, at once, with Retry-After.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from contracts.policy import PlacementName
from scorer.metrics import Metrics
from scorer.problems import ProblemError

FIRST: frozenset[PlacementName] = frozenset({"product", "cart", "checkout"})
SOFT, MIDDLE, HARD = 4, 8, 16
"""Requests under way in one worker. An answer takes some milliseconds of the one thread: `HARD` of them must be less than the time that a
read of Redis is given (`store.READ_BUDGET_SECONDS`), else answers that lie there already would pass for a Redis that is silent."""


class Admission:
    """Counts the requests under way."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.under_way = 0

    @contextmanager
    def let_in(self, placement: PlacementName) -> Iterator[bool]:
        """Whether the request may have the full path, while it is under way.

        Raises:
            ProblemError: 503, there are too many.
        """
        comes_first = placement in FIRST
        if self.under_way >= (HARD if comes_first else MIDDLE):
            self._metrics.shed.labels("refused").inc()
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE, f"{self.under_way} requests are under way; ask again"
            )
        whole = comes_first or self.under_way < SOFT
        if not whole:
            self._metrics.shed.labels("light").inc()
        self.under_way += 1
        try:
            yield whole
        finally:
            self.under_way -= 1
