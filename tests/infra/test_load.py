"""The load tools: freshness against a known store, requests against a real HTTP server."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from infra.load.figures import percentiles
from infra.load.freshness import Seen, Watcher, summed_up
from infra.load.online import SessionKey
from infra.load.requests import RequestLoad, live_bodies, run_requests

A, B = ("v1", "s1"), ("v2", "s2")


def test_percentiles_by_hand() -> None:
    # 101 values 0..100 ms: the 50th and 99th percentile are 50 and 99.
    figures = percentiles([n / 1000 for n in range(101)])
    assert (figures.count, figures.p50, figures.p99, figures.max) == (101, 50.0, 99.0, 100.0)
    assert percentiles([]).count == 0


def test_freshness_tells_first_events_from_updates() -> None:
    seen = [Seen(A, 1, 0.1), Seen(A, 8, 0.3), Seen(B, 1, 0.2)]
    figures = summed_up(seen, unseen=2)
    assert (figures.count, figures.sessions, figures.first.count, figures.updates.p50) == (3, 2, 2, 300.0)
    assert (figures.p50, figures.unseen) == (200.0, 2)


def test_an_event_is_readable_when_its_session_has_counted_it() -> None:
    counts: dict[SessionKey, int] = {A: 1, B: 0}

    def read(sessions: Sequence[SessionKey]) -> list[int]:
        return [counts[session] for session in sessions]

    with Watcher(read) as watcher:
        for session, expected in ((A, 1), (A, 8), (B, 1)):
            watcher.watch(session, expected, time.perf_counter())
        assert watcher.finish(limit_seconds=0.3).unseen == 2
        counts.update({A: 9, B: 1})
        done = watcher.finish(limit_seconds=60)
    assert (done.count, done.sessions, done.unseen) == (3, 2, 0)


def test_a_reader_that_fails_is_heard() -> None:
    def read(sessions: Sequence[SessionKey]) -> list[int]:
        raise ConnectionError("redis is away")

    with Watcher(read) as watcher:
        watcher.watch(A, 1, time.perf_counter())
        with pytest.raises(ConnectionError, match="away"):
            watcher.finish(limit_seconds=60)


class Answers(http.server.BaseHTTPRequestHandler):
    """Every fourth request of a connection is refused."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked += 1
        self.send_response(503 if self.asked % 4 == 0 else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_request_is_made_and_counted(port: int) -> None:
    bodies = live_bodies("r", 3)
    result = run_requests(RequestLoad("127.0.0.1", port, "/", bodies, rate=400, seconds=0.5, connections=1))
    # One connection, 200 requests, every fourth refused.
    assert (result.count, result.non_2xx, result.statuses) == (200, 50, {"200": 150, "503": 50})
    assert result.p50_ms <= result.p99_ms <= result.max_ms


def test_where_nobody_listens_nothing_is_lost(port: int) -> None:
    load = RequestLoad("127.0.0.1", 1, "/", live_bodies("r", 1), rate=100, seconds=0.1, connections=2)
    assert run_requests(load).statuses == {"0": 10}
