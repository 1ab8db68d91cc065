"""Freshness: the time from handing an event to Kafka until its effect can be read in the online store.

An event is readable when its session's row has counted it: event k of a session when `events_seen` reaches k.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from infra.load.figures import Percentiles, percentiles
from infra.load.online import EventsSeen, SessionKey

POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Seen:
    """One watched event that became readable."""

    session: SessionKey
    expected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Freshness:
    """Milliseconds over watched events; `first` are first events of sessions, `unseen` never showed."""

    p50: float
    p99: float
    max: float
    count: int
    sessions: int
    first: Percentiles
    updates: Percentiles
    unseen: int


class Watcher:
    """Polls watched sessions in a thread of its own; what it measures includes its polling of 20 ms."""

    def __init__(self, read: EventsSeen) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._waiting: dict[SessionKey, list[tuple[int, float]]] = {}
        self._seen: list[Seen] = []
        self._closing = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="freshness", daemon=True)

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def watch(self, session: SessionKey, expected: int, sent_at: float) -> None:
        """Watch for the `expected`-th event of a session, handed over at `sent_at` (`time.perf_counter`)."""
        with self._lock:
            self._waiting.setdefault(session, []).append((expected, sent_at))

    def finish(self, limit_seconds: float) -> Freshness:
        """Wait for what is still out, at most `limit_seconds`, and sum up.

        Raises:
            Exception: what stopped the watching, as the reader raised it.
        """
        deadline = time.perf_counter() + limit_seconds
        while self._open() and self._error is None and time.perf_counter() < deadline:
            time.sleep(POLL_SECONDS)
        if self._error is not None:
            raise self._error
        return summed_up(list(self._seen), self._open())

    def _open(self) -> int:
        with self._lock:
            return sum(len(events) for events in self._waiting.values())

    def _run(self) -> None:
        try:
            while not self._closing.wait(POLL_SECONDS):
                self._poll()
        except Exception as error:
            # Handed to the thread that asks for the result.
            self._error = error

    def _poll(self) -> None:
        with self._lock:
            sessions = list(self._waiting)
        counts = self._read(sessions) if sessions else []
        now = time.perf_counter()
        with self._lock:
            for session, count in zip(sessions, counts, strict=True):
                self._settle(session, count, now)

    def _settle(self, session: SessionKey, count: int, now: float) -> None:
        waiting = self._waiting[session]
        still = [event for event in waiting if event[0] > count]
        self._seen += [Seen(session, expected, now - at) for expected, at in waiting if expected <= count]
        if still:
            self._waiting[session] = still
        else:
            del self._waiting[session]


def summed_up(seen: Sequence[Seen], unseen: int) -> Freshness:
    """Percentiles over all watched events, first events and updates apart."""
    every = percentiles([one.seconds for one in seen])
    first = percentiles([one.seconds for one in seen if one.expected == 1])
    updates = percentiles([one.seconds for one in seen if one.expected > 1])
    sessions = len({one.session for one in seen})
    return Freshness(every.p50, every.p99, every.max, every.count, sessions, first, updates, unseen)
