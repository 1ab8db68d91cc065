"""The stream strand on the consent day: how soon a choice can be read, and what the scorer answers from then on."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import redis

from contracts.clock import set_replay_clock
from contracts.consent import changed_at_of
from contracts.features import CONSENT
from contracts.online import decode_row, fields_of, redis_key
from contracts.settings import Settings
from infra.demo.client import ScorerClient
from infra.load.figures import Percentiles, percentiles
from infra.parity.consent_day import GRANT, ON, WITHDRAW, Shopper, change, turns
from infra.publish import Sender

POLL_SECONDS = 0.01
SETTLE_SECONDS = 60.0
OPENS_AT = 9
ASKING = 4
ASKED_EVERY = 5
"""Of the other events: so that decisions with rows are made, to be recomputed."""
IMPERSONAL = ("contextual", "cohort", "popular")


@dataclass(slots=True)
class Watched:
    """What was seen: latencies in seconds, asked withdrawals, and the answers that were personal all the same."""

    sent: int = 0
    seconds: list[float] = field(default_factory=list)
    unread: int = 0
    asked: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)

    def figures(self) -> Percentiles:
        return percentiles(self.seconds)


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice on its way; `made` counts the shopper's choices up to it."""

    shopper: Shopper
    changed_at: int
    state: str
    made: int
    sent_at: float


def play(settings: Settings, crowd: Sequence[Shopper], events_per_second: float) -> Watched:
    """Send the day at a steady rate; every choice is watched, and every withdrawal asked about once it can be read."""
    begin = datetime.combine(ON, datetime.min.time(), tzinfo=settings.clock().now().tzinfo) + timedelta(
        hours=OPENS_AT
    )
    set_replay_clock(settings.clock_file, begin)
    clock, rng, sender, watched = settings.clock(), Random("day"), Sender(settings), Watched()
    with _Watcher(settings, watched) as watcher:
        started = time.perf_counter()
        for n, (shopper, name) in enumerate(turns(list(crowd))):
            time.sleep(max(0.0, started + n / events_per_second - time.perf_counter()))
            now = clock.now()
            if name == "consent_update":
                change(shopper, now)
            sent_at = time.perf_counter()
            sender.send(shopper.event(name, now, f"d-{shopper.number}", rng))
            if n % ASKED_EVERY == 0 and name != "consent_update":
                watcher.ask(shopper)
            if name == "consent_update":
                changed_at, state = shopper.choices[-1]
                watcher.watch(Choice(shopper, changed_at, state, len(shopper.choices), sent_at))
        sender.flush()
        watcher.settle()
    watched.sent = len(crowd) * sum(name == "consent_update" for _, name in turns([crowd[0]]))
    return watched


class _Watcher:
    """Polls the consent rows of choices on their way in one thread; others ask the scorer about withdrawals: as the
    shopper, and logged out on the same device."""

    def __init__(self, settings: Settings, watched: Watched) -> None:
        self._settings, self._watched = settings, watched
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._waiting: list[Choice] = []
        self._to_ask: queue.Queue[Choice | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._poll),
            *(threading.Thread(target=self._ask) for _ in range(ASKING)),
        ]
        self._store: Any = redis.Redis.from_url(settings.redis_url)

    def __enter__(self) -> _Watcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        for _thread in range(ASKING):
            self._to_ask.put(None)
        for thread in self._threads:
            thread.join()

    def watch(self, choice: Choice) -> None:
        with self._lock:
            self._waiting.append(choice)

    def ask(self, shopper: Shopper) -> None:
        """Let the scorer decide for a shopper, whatever it knows by now."""
        self._to_ask.put(Choice(shopper, 0, GRANT, len(shopper.choices), 0.0))

    def settle(self) -> None:
        """Wait for what is still on its way, for a while."""
        deadline = time.perf_counter() + SETTLE_SECONDS
        while self._waiting and time.perf_counter() < deadline:
            time.sleep(POLL_SECONDS)
        self._watched.unread += len(self._waiting)

    def _poll(self) -> None:
        while not self._closing.wait(POLL_SECONDS):
            with self._lock:
                waiting = list(self._waiting)
            for choice, held in zip(waiting, self._read(waiting), strict=True):
                if held >= choice.changed_at:
                    self._readable(choice, time.perf_counter())

    def _read(self, waiting: Sequence[Choice]) -> list[int]:
        """The time of the choice that the device's row and the user's both hold, 0 without one."""
        pipeline = self._store.pipeline(transaction=False)
        for choice in waiting:
            for one in choice.shopper.consent_keys:
                key = redis_key(self._settings.feast_project, {"shopper_id": one})
                pipeline.hmget(key, fields_of(CONSENT))
        rows = (decode_row(CONSENT, values) for values in pipeline.execute())
        states = (row.features["consent_state"] for row in rows)
        held = (changed_at_of(state) if isinstance(state, str) else 0 for state in states)
        return [min(next(held) for _ in choice.shopper.consent_keys) for choice in waiting]

    def _readable(self, choice: Choice, at: float) -> None:
        with self._lock:
            self._waiting.remove(choice)
        self._watched.seconds.append(at - choice.sent_at)
        if choice.state == WITHDRAW:
            self._to_ask.put(choice)

    def _ask(self) -> None:
        client = ScorerClient(self._settings)
        while (choice := self._to_ask.get()) is not None:
            who = choice.shopper
            device = {"visitor_id": who.visitor_id, "session_id": f"d-{who.number}"}
            answer = client.recommend("home", **device, user_id=who.user_id, count=5)
            if choice.state != WITHDRAW:
                continue
            logged_out = client.recommend("home", **device, count=5) if who.user_id else answer
            if len(who.choices) == choice.made:  # else a new grant was on its way while the scorer was asked
                with self._lock:
                    self._watched.asked += 1
                    self._watched.violations += [
                        {"shopper": who.shopper_id, "answer": one["degraded"]}
                        for one in (answer, logged_out)
                        if _is_personal(one)
                    ]


def _is_personal(answer: Mapping[str, Any]) -> bool:
    found = any(state["found"] for state in answer["features"].values() if isinstance(state, dict))
    return found or answer["degraded"]["rung"] not in IMPERSONAL
