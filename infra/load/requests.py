"""Requests to the scorer at a steady rate; each latency counts from when the request was due.

Open loop over a bounded number of kept connections: where all are busy, a request waits and the wait counts, so
that a slow answer cannot hide the ones behind it (coordinated omission).
"""

from __future__ import annotations

import http.client
import itertools
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from infra.load.figures import percentiles
from infra.simulator.live import live_shopper

HTTP_TIMEOUT_SECONDS = 10.0
LATE_SECONDS = 1.0
RUNG = re.compile(rb'"rung":"(\w+)"')
NO_ANSWER = 0
"""The status of a request whose connection failed."""


@dataclass(frozen=True, slots=True)
class RequestLoad:
    """What to ask: `rate` requests a second for `seconds`, or, where it is 0, as fast as answers come; the bodies in turn."""

    host: str
    port: int
    path: str
    bodies: Sequence[bytes]
    rate: float
    seconds: float
    connections: int = 24


@dataclass(frozen=True, slots=True)
class RequestResult:
    """Latencies in milliseconds from when each was due; statuses by code, 0 where no answer came.

    Attributes:
        rungs: of the answers that name one, by name.
        late: answers with 2xx that came more than `LATE_SECONDS` after they were due.
    """

    count: int
    seconds: float
    requests_per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    non_2xx: int
    statuses: dict[str, int]
    rungs: dict[str, int]
    late: int


@dataclass(slots=True)
class _Connection:
    """One thread's kept connection and what it measured."""

    load: RequestLoad
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    rungs: Counter[str] = field(default_factory=Counter)
    late: int = 0

    def run(self, turns: Iterator[int], started: float) -> None:
        load = self.load
        http_client = http.client.HTTPConnection(load.host, load.port, timeout=HTTP_TIMEOUT_SECONDS)
        total = int(load.rate * load.seconds) if load.rate else sys.maxsize
        # `next` of itertools.count is atomic: every turn is taken once.
        for turn in turns:
            if turn >= total:
                break
            due = started + turn / load.rate if load.rate else time.perf_counter()
            if not load.rate and due >= started + load.seconds:
                break
            time.sleep(max(0.0, due - time.perf_counter()))
            status, told = _ask(http_client, load.path, load.bodies[turn % len(load.bodies)])
            self.statuses[status] += 1
            if rung := RUNG.search(told):
                self.rungs[rung.group(1).decode()] += 1
            self.seconds.append(time.perf_counter() - due)
            self.late += 200 <= status < 300 and self.seconds[-1] > LATE_SECONDS
        http_client.close()


def _ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> tuple[int, bytes]:
    """One request: its status, or NO_ANSWER, and what it was answered."""
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        # The next request opens it again.
        connection.close()
        return NO_ANSWER, b""


def run_requests(load: RequestLoad) -> RequestResult:
    """Ask and measure."""
    turns = itertools.count()
    connections = [_Connection(load) for _ in range(load.connections)]
    started = time.perf_counter()
    threads = [threading.Thread(target=one.run, args=(turns, started)) for one in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    latencies = percentiles([seconds for one in connections for seconds in one.seconds])
    statuses: Counter[int] = sum((one.statuses for one in connections), Counter())
    rungs: Counter[str] = sum((one.rungs for one in connections), Counter())
    return RequestResult(
        count=latencies.count,
        seconds=round(took, 3),
        requests_per_second=round(latencies.count / took, 1),
        p50_ms=latencies.p50,
        p99_ms=latencies.p99,
        max_ms=latencies.max,
        non_2xx=sum(n for status, n in statuses.items() if not 200 <= status < 300),
        statuses={str(status): n for status, n in sorted(statuses.items())},
        rungs=dict(sorted(rungs.items())),
        late=sum(one.late for one in connections),
    )


def live_bodies(prefix: str, sessions: int, count: int = 10) -> list[bytes]:
    """Requests of the first `sessions` live shoppers of a run, each for `count` items."""
    shoppers = (live_shopper(prefix, n) for n in range(sessions))
    return [
        msgspec.json.encode(
            {
                "visitor_id": shopper.visitor_id,
                "user_id": shopper.user_id,
                "session_id": shopper.session_id,
                "count": count,
            }
        )
        for shopper in shoppers
    ]
