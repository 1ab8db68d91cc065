"""What chaos plans and promises, by hand; the chaos itself is `make chaos`."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.chaos import shelf
from infra.chaos.__main__ import broken
from infra.chaos.artifacts import run_damages
from infra.chaos.plan import CHECKPOINT, TARGETS, Plan
from infra.chaos.proxy import SLOW_SECONDS, Proxy
from infra.chaos.requests import Case, broken_promises
from infra.chaos.shelf import Seen, Update, effects_of, violations


def test_a_seed_is_a_schedule_and_every_target_has_its_turn() -> None:
    kills = list(Plan(seed=5).schedule())
    assert kills == list(Plan(seed=5).schedule())
    assert kills != list(Plan(seed=6).schedule())
    # Three rounds of eight targets; in each two kills fall into a checkpoint.
    assert Counter((kill.unit, kill.how) for kill in kills) == dict.fromkeys(TARGETS, 3)
    assert sum(kill.how == CHECKPOINT for kill in kills) == 6
    assert all(1 <= kill.after_seconds <= 6 for kill in kills)
    assert len(list(Plan(seed=5, kills=3).schedule())) == 3


def test_what_is_not_kept_is_said() -> None:
    kept: dict[str, Any] = {
        "kills": 24, "kills_in_checkpoint": 6, "events_per_second": 2049.0, "lost": 0, "duplicated": 0,
        "state_differences": 0, "recovery_s": {"p50": 9.0, "p95": 30.0},
    }  # fmt: skip
    assert broken(Plan(1), kept, {"differences": 0}) == []
    worse = kept | {
        "kills_in_checkpoint": 4,
        "events_per_second": 1900.0,
        "lost": 1,
        "recovery_s": {"p95": 30.5},
    }
    assert broken(Plan(1), worse, {"differences": 2}) == [
        "lost is 1, not 0",
        "rebuild.differences is 2, not 0",
        "recovery_s.p95 30.5 is above 30",
        "4 kills inside a checkpoint, fewer than 5",
        "1900.0 events/s, fewer than 2,050",
    ]


def update(offset: int, item: str, *, in_stock: bool, sent: float = 0.0, partition: int = 0) -> Update:
    return Update(sent, partition, offset, item, in_stock, "1.00" if in_stock else "0.50")


def test_an_answer_is_held_against_what_it_had_passed() -> None:
    sent = [
        update(0, "a", in_stock=False),
        update(1, "a", in_stock=True, sent=5.0),
        update(0, "b", in_stock=False, partition=1),
    ]
    assert violations(sent, [Seen(1.0, [1, 0], {"a": "1.00"})]) == 1
    assert violations(sent, [Seen(1.0, [1, 0], {}, ["a"])]) == 0
    assert violations(sent, [Seen(1.0, [0, 0], {"a": "9.00", "b": "9.00"})]) == 0  # it had passed neither
    assert violations(sent, [Seen(6.0, [1, 1], {"a": "1.00", "b": "1.00"})]) == 1  # a was back, b was not
    assert violations(sent, [Seen(6.0, [2, 0], {"a": "1.00", "c": "9.00"})]) == 0
    assert violations(sent, [Seen(6.0, [2, 0], {"a": "0.50"})]) == 1  # at its earlier price
    assert violations(sent, [Seen(6.0, [2, 0], {}, ["a"])]) == 1  # left out though it is back
    # Shown as an earlier update said, priced as one that came while the answer was made; not as one that came after it.
    sold = [update(0, "d", in_stock=True), update(1, "d", in_stock=False, sent=5.0)]
    assert violations(sold, [Seen(6.0, [1, 0], {"d": "0.50"})]) == 0
    assert violations(sold, [Seen(4.0, [1, 0], {"d": "0.50"})]) == 1


def test_an_effect_is_the_first_answer_that_had_passed() -> None:
    sent = [update(0, "a", in_stock=False, sent=1.0), update(1, "a", in_stock=True, sent=2.0)]
    seen = [Seen(1.5, [0], {}), Seen(3.5, [2], {}), Seen(1.75, [1], {})]
    assert sorted(effects_of(sent, seen)) == [0.75, 1.5]
    assert effects_of([update(7, "a", in_stock=True)], seen) == []


def test_what_requests_were_promised() -> None:
    case = {"dependency": "redis", "mode": "down", "rungs": ["popular"], "causes": ["x"], "as_expected": True}
    scorer = {
        "cases": [case],
        "non_2xx": 0,
        "degraded_p99_ms": 50.0,
        "back_to_full_s": 5.0,
        "decisions_lost": 0,
    }
    overload = {"goodput_ratio": 0.9, "priority_served": 0.99, "asked_rps": 290.0, "capacity_rps": 100.0}
    assert broken_promises(scorer, overload, 3) == []
    worse = {**scorer, "cases": [{**case, "as_expected": False}], "non_2xx": 2, "back_to_full_s": 5.1}
    assert broken_promises(worse, {**overload, "priority_served": 0.9, "asked_rps": 200.0}, 3) == [
        "redis down: answers stood on ['popular'] because of ['x']",
        "2 requests failed while a dependency was broken",
        "back_to_full_s 5.1 is above 5",
        "only 200.0 requests/s were asked, less than 3 times what can be answered",
        "priority_served 0.9 is below 0.99",
    ]


def test_what_the_catalog_does_not_keep_is_said() -> None:
    kept: dict[str, Any] = {
        "updates": 10_000, "answers": 900, "failed": 0, "load": {"count": 1500, "non_2xx": 0}, "violations": 0, "unseen": 0,
        "effect_ms": {"p99": 1000.0},
    }  # fmt: skip
    assert shelf.broken_promises(kept) == []
    worse = {"updates": 9_999, "load": {"non_2xx": 3}, "violations": 1, "effect_ms": {"p99": 1000.1}}
    assert shelf.broken_promises(kept | worse) == [
        "1 items shown, left out or priced otherwise than was known",
        "3 requests of the load failed beside the updates",
        "9999 updates, fewer than 10,000",
        "effect_ms.p99 1000.1 is above 1000",
    ]


def test_where_answers_may_stand_while_something_is_broken() -> None:
    down, flapping, kafka = Case("redis", "down"), Case("redis", "flapping"), Case("kafka", "slow")
    failed = ["Redis failed (ConnectionError)"]
    assert down.is_kept(["popular"], failed)
    assert flapping.is_kept(["full", "popular"], failed)
    assert kafka.is_kept(["full"], [])
    assert not down.is_kept(["full", "popular"], failed)
    assert not down.is_kept(["popular"], ["the champion failed (TypeError)"])
    assert not flapping.is_kept(["full"], [])  # then nothing was broken
    assert not kafka.is_kept([], [])


@pytest.fixture()
def echo() -> Iterator[int]:
    """A server that answers what it is sent."""

    class Echo(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1000):
                self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_proxy_breaks_what_is_open_and_mends(echo: int) -> None:
    with Proxy("127.0.0.1", 0, echo) as proxy, connect(proxy) as line:
        assert asked(line) == b"ping"
        proxy.mode = "slow"
        began = time.perf_counter()
        assert asked(line) == b"ping"
        assert time.perf_counter() - began >= SLOW_SECONDS
        proxy.mode = "garbage"
        with connect(proxy) as another:
            assert asked(another) not in {b"ping", b""}
        proxy.mode = "down"
        assert asked(line) == b""
        with connect(proxy) as another:
            assert asked(another) == b""
        proxy.mode = "flapping"
        deadline = time.monotonic() + 30
        told: set[bytes] = set()
        while told != {b"", b"ping"}:
            assert time.monotonic() < deadline
            with connect(proxy) as another:
                told.add(asked(another))
        proxy.mode = "pass"
        with connect(proxy) as another:
            assert asked(another) == b"ping"


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def asked(line: socket.socket) -> bytes:
    """What comes back, nothing where it is cut."""
    try:
        line.sendall(b"ping")
        return line.recv(4)
    except ConnectionError:
        return b""


def test_no_damaged_snapshot_is_opened(tmp_path: Path) -> None:
    # So many that each file was damaged, the manifest too.
    assert run_damages(tmp_path, 120, seed=3) == {"damaged": 120, "refused": 120, "opened": []}
