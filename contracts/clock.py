"""Time is an argument: one Clock in the settings, and in a replay it is the replay's clock.

Ages, budgets and dates use the Clock; latencies use `time.perf_counter`. Redis expiry and Flink's state TTL
are wall time and only free memory.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
REFRESH_SECONDS = 0.05
"""So long other processes may show the time that a replay's clock showed before."""


def to_micros(moment: datetime) -> int:
    """Whole microseconds since the epoch of an aware `moment`."""
    return (moment - EPOCH) // MICROSECOND


def from_micros(micros: int) -> datetime:
    """The UTC moment `micros` microseconds after the epoch."""
    return EPOCH + timedelta(microseconds=micros)


def to_rfc3339(moment: datetime) -> str:
    """`2011-09-02T08:15:00.000000Z`: fixed width, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Clock(Protocol):
    """Answers what time it is."""

    def now(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class WallClock:
    """The machine's time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A time that stands still."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class FileClock:
    """The replay's clock while its file exists, the wall clock otherwise.

    The file holds `{"at": epoch µs, "set_at": wall epoch µs, "rate": factor}`: the time shown is
    `at + (wall - set_at) * rate`. Several processes share it; it is read again at most every
    `refresh_seconds`.
    """

    path: Path
    refresh_seconds: float = REFRESH_SECONDS
    _state: dict[str, float] | None = None
    _read_at: float = -1.0

    def now(self) -> datetime:
        if time.monotonic() - self._read_at > self.refresh_seconds:
            self._state = _read(self.path)
            self._read_at = time.monotonic()
        wall = datetime.now(UTC)
        if self._state is None:
            return wall
        elapsed = to_micros(wall) - self._state["set_at"]
        return from_micros(int(self._state["at"] + elapsed * self._state["rate"]))


def set_replay_clock(path: Path, at: datetime, rate: float = 1.0) -> None:
    """Make every `FileClock` on `path` show `at`, going `rate` times as fast as the wall clock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {"at": to_micros(at), "set_at": to_micros(datetime.now(UTC)), "rate": rate}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(path)


def clear_replay_clock(path: Path) -> None:
    """Give every `FileClock` on `path` the wall clock back."""
    path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, float] | None:
    try:
        state: dict[str, float] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return state
