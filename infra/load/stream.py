"""Events through the stream: at a steady rate with freshness watched, or as a burst for the stream's rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.settings import Settings
from infra.load.freshness import Freshness, Watcher
from infra.load.online import EventsSeen, SessionKey
from infra.publish import Sender
from infra.simulator.live import LiveItem, LiveShop

WATCH_EVERY = 7
"""Of a session's events the 1st, 8th, 15th, … are watched: first events and updates."""
TICK_SECONDS = 0.004
SETTLE_SECONDS = 60.0
BURST_POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class StreamLoad:
    """What to send: `rate` events a second for `seconds`, by `concurrent` sessions at once."""

    prefix: str
    rate: float
    seconds: float
    concurrent: int = 300
    seed: int = 1


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What was sent: events per session as `visitor/session`; the slowest tick says how steady it was."""

    events: int
    seconds: float
    events_per_second: float
    sessions: int
    late_ms: float
    freshness_ms: Freshness
    produced: dict[str, int]


@dataclass(frozen=True, slots=True)
class BurstResult:
    """A burst until every event could be read in the online store; `unseen` could not within the limit."""

    events: int
    send_seconds: float
    seconds: float
    events_per_second: float
    unseen: int
    produced: dict[str, int]


def run_stream(
    settings: Settings,
    items: Sequence[LiveItem],
    load: StreamLoad,
    read: EventsSeen,
    now: Callable[[], datetime],
) -> StreamResult:
    """Send open-loop: event n is due at n / rate, whatever became of the others.

    Args:
        read: how many events of sessions are readable.
        now: the clock that dates the events.
    """
    shop = LiveShop(items, load.prefix, load.seed, load.concurrent)
    sender = Sender(settings)
    total, sent, late = int(load.rate * load.seconds), 0, 0.0
    with Watcher(read) as watcher:
        started = time.perf_counter()
        while sent < total:
            elapsed = time.perf_counter() - started
            due = min(total, 1 + int(elapsed * load.rate))
            if due > sent:
                late = max(late, elapsed - sent / load.rate)
            for _ in range(due - sent):
                _send(shop, sender, watcher, now())
            sent = due
            time.sleep(TICK_SECONDS)
        seconds = time.perf_counter() - started
        sender.flush()
        freshness = watcher.finish(SETTLE_SECONDS)
    return StreamResult(
        events=total,
        seconds=round(seconds, 3),
        events_per_second=round(total / seconds, 1),
        sessions=len(shop.produced),
        late_ms=round(late * 1000, 1),
        freshness_ms=freshness,
        produced=_named(shop.produced),
    )


def run_burst(
    settings: Settings,
    items: Sequence[LiveItem],
    load: StreamLoad,
    read: EventsSeen,
    now: Callable[[], datetime],
    *,
    limit_seconds: float = 180.0,
) -> BurstResult:
    """Send `rate × seconds` events as fast as Kafka takes them; the rate counts until all are readable."""
    shop = LiveShop(items, load.prefix, load.seed, load.concurrent)
    sender = Sender(settings)
    total = int(load.rate * load.seconds)
    started = time.perf_counter()
    for _ in range(total):
        sender.send(shop.next_event(now())[1])
    sender.flush()
    send_seconds = time.perf_counter() - started
    unseen = _wait_until_readable(shop.produced, read, started + limit_seconds)
    seconds = time.perf_counter() - started
    return BurstResult(
        events=total,
        send_seconds=round(send_seconds, 3),
        seconds=round(seconds, 3),
        events_per_second=round((total - unseen) / seconds, 1),
        unseen=unseen,
        produced=_named(shop.produced),
    )


def _send(shop: LiveShop, sender: Sender, watcher: Watcher, now: datetime) -> None:
    session, event = shop.next_event(now)
    sent_at = time.perf_counter()
    sender.send(event)
    if session.produced % WATCH_EVERY == 1:
        watcher.watch(session.shopper.key, session.produced, sent_at)


def _wait_until_readable(produced: dict[SessionKey, int], read: EventsSeen, deadline: float) -> int:
    """Wait for all sessions to be counted in full; returns how many events are still missing at the deadline."""
    missing = dict(produced)
    while missing:
        counts = read(list(missing))
        gaps = zip(list(missing.items()), counts, strict=True)
        left = {session: expected - count for (session, expected), count in gaps if count < expected}
        if not left or time.perf_counter() > deadline:
            return sum(left.values())
        missing = {session: produced[session] for session in left}
        time.sleep(BURST_POLL_SECONDS)
    return 0


def _named(produced: dict[SessionKey, int]) -> dict[str, int]:
    return {f"{visitor}/{session}": count for (visitor, session), count in produced.items()}
