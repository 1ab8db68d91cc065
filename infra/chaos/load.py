"""`python -m infra.chaos.load --rate R --sessions N --seed S --report FILE`: events until SIGTERM, some late, some twice.

They go in by `events_raw`, as a shop sends them. Every twentieth is late by up to an hour, every tenth is sent a second time,
within seconds. On the signal it sends what is due, waits until Kafka has confirmed all, and reports the events of each session.
"""

from __future__ import annotations

import argparse
import heapq
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from contracts.adapters.wire import Record
from contracts.clock import to_rfc3339
from contracts.reports import write_report
from contracts.settings import from_environment
from infra.publish import Sender
from infra.simulator.live import LiveItem, LiveShop

TICK_SECONDS = 0.005
LATE_SHARE, TWICE_SHARE = 0.05, 0.1
LATEST_SECONDS = 3600
TWICE_WITHIN_SECONDS = 8.0
ITEMS = [LiveItem(f"i{n}", 100 + n, "GBP") for n in range(2_000)]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: events (each counted once), how many of them late, how many twice, and each session's count."""

    events: int
    late: int
    twice: int
    seconds: float
    produced: dict[str, int]


@dataclass(slots=True)
class Load:
    """The events, one by one; repeats wait for their time in a heap."""

    shop: LiveShop
    sender: Sender
    chance: Random
    late: int = 0
    twice: int = 0
    events: int = 0
    _again: list[tuple[float, int, Record]] = field(default_factory=list)

    def send_next(self, now: float) -> None:
        """The next event of all, perhaps late, perhaps to be sent again."""
        moment = datetime.now(UTC)
        _, event = self.shop.next_event(moment)
        if self.chance.random() < LATE_SHARE:
            self.late += 1
            happened = moment - timedelta(seconds=self.chance.uniform(1, LATEST_SECONDS))
            event = {**event, "event_time": to_rfc3339(happened)}
        self.events += 1
        self.sender.send(event)
        if self.chance.random() < TWICE_SHARE:
            self.twice += 1
            heapq.heappush(
                self._again, (now + self.chance.uniform(0, TWICE_WITHIN_SECONDS), self.events, event)
            )

    def send_again(self, now: float) -> None:
        """The repeats that are due at `now`."""
        while self._again and self._again[0][0] <= now:
            self.sender.send(heapq.heappop(self._again)[2])


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: stopped.append(number))
    shop = LiveShop(ITEMS, "chaos", options.seed, options.sessions)
    load = Load(shop, Sender(from_environment()), Random(options.seed))
    began = time.perf_counter()
    while not stopped:
        now = time.perf_counter()
        while load.events < (now - began) * options.rate:
            load.send_next(now)
        load.send_again(now)
        time.sleep(TICK_SECONDS)
    seconds = time.perf_counter() - began
    load.send_again(float("inf"))
    load.sender.flush()
    produced = {f"{visitor}/{session}": count for (visitor, session), count in shop.produced.items()}
    sent = Sent(load.events, load.late, load.twice, round(seconds, 1), produced)
    write_report(options.report, asdict(sent), default=None)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra.chaos.load", description=__doc__)
    for name in ("rate", "sessions", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--report", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
