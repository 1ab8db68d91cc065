"""A rush in the stream's windows and the answers after it, through a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer

from contracts.clock import FixedClock, to_micros
from contracts.settings import TOPICS
from models.decide.snapshot import Snapshot
from scorer.service import Options
from tests.scorer.kit import NOW, Running, publish, scorer, snapshot, unique, until

HOURS = count()
"""Each test has an hour of its own: the newest window of all tells which are over."""
POPULARITY = np.array([100, 99, 98, 4, 3, 2], np.float32)


@pytest.fixture
def shop() -> Snapshot:
    """Six items of a name that no other test's rows have: three much alike in what is taken of them, three of which little is."""
    name = unique("shop")
    ids = tuple(f"{name}-{item}" for item in snapshot().ids)
    index = {item: n for n, item in enumerate(ids)}
    return replace(snapshot("popularity"), ids=ids, index=index, popularity=POPULARITY)


@pytest.fixture
def own(options: Options, shop: Snapshot, tmp_path: Path) -> Options:
    serving = tmp_path / "serving"
    serving.mkdir()
    publish(serving, shop)
    return replace(options, serving=serving, clock=FixedClock(NOW + 3 * next(HOURS) * timedelta(hours=1)))


@pytest.fixture
def braid(own: Options) -> Iterator[Running]:
    with scorer(own) as started:
        until(lambda: started.service.trends.missing is None)
        yield started


@dataclass(frozen=True)
class Stream:
    """What Flink writes, at the scorer's time."""

    options: Options

    def send(self, *values: bytes | dict[str, Any]) -> None:
        producer = Producer({"bootstrap.servers": self.options.kafka_bootstrap})
        for value in values:
            content = value if isinstance(value, bytes) else msgspec.json.encode(value)
            producer.produce(TOPICS.item_trends, content, b"key")
        assert producer.flush(30) == 0

    def window(self, item: str, carts: int, ago: int = 0, view: str = "item_trends_1h") -> dict[str, Any]:
        """A window that ended so many minutes ago."""
        kind = view.removeprefix("item_trends_")
        counts = {f"item_trend_{what}_{kind}": carts for what in ("views", "carts", "purchases")}
        end = to_micros(self.options.clock.now() - timedelta(minutes=ago))
        return {"view": view, "item_id": item, "window_end": end, "events_seen": 5 + 3 * carts, **counts}


@pytest.fixture
def stream(own: Options) -> Stream:
    return Stream(own)


def shown(braid: Running) -> str:
    return "".join(item["item_id"].rpartition("-")[2] for item in braid.recommend(visitor_id="v")["results"])


def test_a_rush_is_in_the_answers_and_goes_when_the_next_windows_do_not_renew_it(
    stream: Stream, braid: Running, shop: Snapshot
):
    send, window = stream.send, stream.window
    assert shown(braid) == "abcde"
    a, _, c, *_ = shop.ids
    send(window(c, 20, ago=14))
    until(lambda: shown(braid) == "cabde")
    assert braid.recommend(visitor_id="v")["results"][0]["reasons"] == ["trending"]
    # Some minutes on a rushes too; what is renewed with fewer than a rush has is none.
    send(window(a, 50, ago=10), window(c, 20, ago=10))
    until(lambda: shown(braid) == "acbde")
    send(window(c, 4, ago=5))
    until(lambda: shown(braid) == "abcde")
    assert braid.metric("trending_items") == 1
    # a was not renewed by the two windows that ended since.
    send(window(c, 20))
    until(lambda: shown(braid) == "cabde")
    assert braid.metric("trending_items") == 1


def test_neither_shorter_windows_nor_older_ones_nor_what_cannot_be_read_count(
    stream: Stream, braid: Running, shop: Snapshot
):
    send, window = stream.send, stream.window
    a, b, c, d, *_ = shop.ids
    future = window(d, 999, ago=-30)
    send(window(b, 90, view="item_trends_10m"), b"{", future, window(c, 20), window(c, 0, ago=5))
    until(lambda: shown(braid) == "cabde")
    send(window(a, 6))
    until(lambda: braid.metric("trending_items") == 2)
    assert shown(braid) == "cabde"


def test_a_worker_that_starts_knows_the_rush_and_a_swapped_snapshot_has_it(
    own: Options, stream: Stream, shop: Snapshot
):
    stream.send(stream.window(shop.ids[2], 20))
    with scorer(own) as braid:
        until(lambda: braid.request("GET", "/readyz").status_code == 200)
        assert shown(braid) == "cabde"
        publish(own.serving, replace(shop, model_version="popularity-2"))
        until(lambda: braid.recommend(visitor_id="v")["model_version"] == "popularity-2")
        assert shown(braid) == "cabde"


def test_a_quarter_of_an_hour_without_rows_ends_every_rush(
    own: Options, stream: Stream, braid: Running, shop: Snapshot
):
    stream.send(stream.window(shop.ids[2], 20))
    until(lambda: shown(braid) == "cabde")
    braid.service.trends._clock = FixedClock(own.clock.now() + timedelta(minutes=15))
    until(lambda: shown(braid) == "abcde")


def test_a_clock_that_is_put_back_ends_every_rush(
    own: Options, stream: Stream, braid: Running, shop: Snapshot
):
    stream.send(stream.window(shop.ids[2], 20))
    until(lambda: shown(braid) == "cabde")
    braid.service.trends._clock = FixedClock(own.clock.now() - timedelta(minutes=5))
    until(lambda: shown(braid) == "abcde")
