"""A circuit breaker: after failures in a row a dependency is left alone until a trial succeeds that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

LOG = logging.getLogger("scorer.breaker")
FAILURES_ALLOWED = 5
REST_SECONDS = 0.5


class Breaker:
    """Closed while calls succeed; open after `failures_allowed` failures in a row, until `trial` succeeds.

    While it is open the trial is made every `rest_seconds`, beside the requests: a shopper's request is no trial.
    """

    def __init__(
        self,
        trial: Callable[[], Awaitable[bool]],
        failures_allowed: int = FAILURES_ALLOWED,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._trial = trial
        self._allowed, self._rest = failures_allowed, rest_seconds
        self._failures = 0
        self._trials: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def is_open(self) -> bool:
        """Whether the dependency is left alone."""
        return self._trials is not None

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self._allowed and self._trials is None and not self._ended:
            LOG.warning("a dependency is left alone", extra={"failures": self._failures})
            self._trials = asyncio.create_task(self._until_it_succeeds(), name="try a dependency again")

    async def close(self) -> None:
        """End the trials for good."""
        self._ended = True
        if self._trials is not None:
            self._trials.cancel()
            await asyncio.gather(self._trials, return_exceptions=True)

    async def _until_it_succeeds(self) -> None:
        try:
            await asyncio.sleep(self._rest)
            while not await self._succeeds():
                await asyncio.sleep(self._rest)
            LOG.info("a dependency is asked again")
        finally:
            self._failures, self._trials = 0, None

    async def _succeeds(self) -> bool:
        try:
            return await self._trial()
        except Exception:
            # Whatever it is: a breaker that is never tried again is worse.
            LOG.exception("the trial of a dependency failed")
            return False
