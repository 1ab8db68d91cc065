"""Events of many visitors in the background, with the rows that they must end in."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from contracts.settings import Settings
from infra.stack import LocalStack
from tests.flink_jobs.kit import LIMIT_SECONDS, Rows, Tail, items, send, wait_for, wire

VISITORS, EVENTS_EACH = 50, 120


def events_of(tag: str) -> list[dict[str, Any]]:
    """Of each visitor 120 events, interleaved; every tenth is sent a second time, and `end` is the last."""
    found = []
    for n in range(EVENTS_EACH):
        for visitor in range(VISITORS):
            name = "add_to_cart" if n % 4 == 0 else "view_item"
            found.append(wire(name, f"e{n}", f"{tag}-{visitor}", n, items=items(f"i{n}", price="1.50")))
        if n % 10 == 9:
            found += found[-VISITORS:]
    for visitor in range(VISITORS):
        found.append(wire("view_item", "end", f"{tag}-{visitor}", EVENTS_EACH, items=items("end")))
    return found


def all_arrived(found: Rows) -> bool:
    """Whether each visitor's last event did: the repeated ones before it were counted or not."""
    return len(found) == VISITORS and all("end" in row["session_last_items"] for row in found.values())


def check_exact(found: Rows) -> None:
    """120 events, 30 carts (every fourth) of 1.50 and 90 views, and the end; the newest items: end, 119 … 101."""
    told = {
        (r["events_seen"], r["session_carts"], r["session_items_viewed"], r["session_carted_minor"])
        for r in found.values()
    }
    assert told == {(121, 30, 91, 4500)}
    assert {tuple(r["session_last_items"]) for r in found.values()} == {
        ("end", *(f"i{n}" for n in range(119, 100, -1)))
    }


@contextmanager
def load(settings: Settings, tag: str) -> Iterator[threading.Event]:
    """Events go out in the background for some seconds; the event is set after the first third."""
    records, third, failures = events_of(tag), threading.Event(), []

    def paced() -> Iterator[dict[str, Any]]:
        pause = threading.Event()
        for n, record in enumerate(records):
            if n % 60 == 0:
                pause.wait(0.15)  # 400 events/s: three checkpoints fall into the load
            if n > len(records) // 3:
                third.set()
            yield record

    def work() -> None:
        try:
            send(settings, paced())
        except BaseException as error:
            failures.append(error)
            raise
        finally:
            third.set()

    thread = threading.Thread(target=work)
    thread.start()
    yield third
    thread.join()
    assert not failures


def kill(stack: LocalStack, name: str) -> None:
    pid = next(unit.pid for unit in stack.status() if unit.name == name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    poll(lambda: all(unit.pid != pid for unit in stack.status()), f"{name} is still there")


def poll(done: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not done():
        assert time.monotonic() < end, otherwise
        time.sleep(0.1)


def some_rows(rows: Tail, tag: str) -> None:
    assert wait_for(lambda: rows.rows("session", tag), bool), "nothing arrived before the kill"
