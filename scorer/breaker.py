"""A circuit breaker: after failures in a row a dependency is left alone for a while, then tried once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic


@dataclass(slots=True)
class Breaker:
    """Closed while calls succeed; open for `rest_seconds` after `failures_allowed` failures in a row.

    When the rest is over one call is let through; it closes the breaker or opens it again.
    """

    failures_allowed: int = 5
    rest_seconds: float = 1.0
    time: Callable[[], float] = monotonic
    _failures: int = 0
    _open_until: float = 0.0

    def allows(self) -> bool:
        """Whether a call may be made now; an allowed trial holds the others back until it is decided."""
        if self._failures < self.failures_allowed:
            return True
        now = self.time()
        if now < self._open_until:
            return False
        self._open_until = now + self.rest_seconds
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self.failures_allowed:
            self._open_until = self.time() + self.rest_seconds
