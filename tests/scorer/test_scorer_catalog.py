"""A catalog update and the answers after it, through a real Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
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
from tests.scorer.kit import NOW, Running, micros_ago, publish, scorer, snapshot, unique, until


@pytest.fixture
def shop() -> Snapshot:
    """Six items of a name that no other test's updates have; the last is out of stock."""
    name = unique("shop")
    ids = tuple(f"{name}-{item}" for item in snapshot().ids)
    return replace(snapshot("popularity"), ids=ids, index={item: n for n, item in enumerate(ids)})


@pytest.fixture
def own(options: Options, shop: Snapshot, tmp_path: Path) -> Options:
    serving = tmp_path / "serving"
    serving.mkdir()
    publish(serving, shop)
    return replace(options, serving=serving)


@pytest.fixture
def braid(own: Options) -> Iterator[Running]:
    with scorer(own) as started:
        until(lambda: started.service.catalog.missing is None)
        yield started


def send(options: Options, *values: bytes | dict[str, Any]) -> list[tuple[int, int]]:
    """Produce records; returns the partition and offset of each."""
    producer, places = Producer({"bootstrap.servers": options.kafka_bootstrap}), []
    for value in values:
        content = value if isinstance(value, bytes) else msgspec.json.encode(value)
        key = "broken" if isinstance(value, bytes) else value["item_id"]
        producer.produce(
            TOPICS.catalog, content, key, on_delivery=lambda _, m: places.append((m.partition(), m.offset()))
        )
    producer.flush(30)
    assert len(places) == len(values)
    return places


def update(item: str, at: int | None = None, **changes: Any) -> dict[str, Any]:
    """The flat record that `infra.publish` sends."""
    whole = {
        "item_id": item,
        "title": item,
        "price_minor": 100,
        "currency": "GBP",
        "availability": "in_stock",
    }
    return {**whole, "effective_time": micros_ago(minutes=1) if at is None else at, **changes}


def passed(braid: Running, places: list[tuple[int, int]]) -> dict[str, Any]:
    """The first answer whose offset has passed the records."""
    while True:
        answer = braid.recommend(visitor_id="v")
        at = dict(enumerate(answer["catalog_offset"]))
        if all(at.get(partition, 0) > offset for partition, offset in places):
            return answer
        time.sleep(0.02)


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"].rpartition("-")[2] for item in answer["results"]]


def test_an_answer_that_has_passed_an_update_holds_it(own: Options, braid: Running, shop: Snapshot):
    assert shown(braid.recommend(visitor_id="v")) == ["a", "b", "c", "d", "e"]
    a, b, _, _, _, f = shop.ids
    places = send(
        own,
        update(a, availability="out_of_stock"),
        update(b, price_minor=1234, currency="EUR"),
        update(f),
    )
    answer = passed(braid, places)
    assert shown(answer) == ["b", "c", "d", "e", "f"]
    first, second = answer["results"][:2]
    assert (first["price"], first["currency"], first["priced_at"]) == (
        "12.34",
        "EUR",
        "2011-09-02T11:59:00.000000Z",
    )
    assert (second["price"], second["priced_at"]) == ("19.99", "2011-08-31T12:00:00.000000Z")
    assert shown(passed(braid, send(own, update(a)))) == ["a", "b", "c", "d", "e", "f"]


def test_what_comes_while_a_snapshot_is_swapped_lies_on_both_shelves(
    own: Options, braid: Running, shop: Snapshot
):
    serving = braid.service.follower.serving
    assert serving is not None
    coming = braid.service.catalog.stock(shop)
    passed(braid, send(own, update(shop.ids[0], availability="withdrawn")))
    assert not serving.shelf.in_stock[0]
    assert not coming.in_stock[0]


def test_an_older_update_that_comes_later_changes_nothing(own: Options, braid: Running, shop: Snapshot):
    a = shop.ids[0]
    places = send(own, update(a, availability="withdrawn"), update(a, at=micros_ago(hours=1)))
    assert "a" not in shown(passed(braid, places))
    # The snapshot has a later state.
    b = shop.ids[1]
    assert "b" in shown(passed(braid, send(own, update(b, micros_ago(days=3), availability="withdrawn"))))


def test_what_took_effect_before_the_cut_and_was_told_after_it_counts(
    own: Options, braid: Running, shop: Snapshot
):
    places = send(own, update(shop.ids[1], micros_ago(days=1), availability="withdrawn"))
    assert "b" not in shown(passed(braid, places))


def test_what_no_snapshot_holds_is_not_forgotten_however_old(own: Options, braid: Running, shop: Snapshot):
    older = replace(shop, offered_at=np.full(len(shop.ids), micros_ago(days=30)))
    passed(braid, send(own, update(shop.ids[1], micros_ago(days=20), availability="withdrawn")))
    for _ in range(2):
        assert braid.service.catalog.stock(older).in_stock.tolist() == [True, False, True, True, True, False]


def test_what_holds_later_waits_for_its_time(own: Options, shop: Snapshot):
    clock = FixedClock(NOW)
    with scorer(replace(own, clock=clock)) as braid:
        soon = to_micros(NOW + timedelta(minutes=5))
        places = send(own, update(shop.ids[0], soon, availability="out_of_stock"))
        assert "a" in shown(passed(braid, places))
        braid.service.catalog._clock = FixedClock(NOW + timedelta(minutes=6))
        until(lambda: "a" not in shown(braid.recommend(visitor_id="v")))


def test_a_record_that_cannot_be_read_costs_itself_alone(own: Options, braid: Running, shop: Snapshot):
    wrong = update(shop.ids[0], availability="perhaps")
    huge = update(shop.ids[0], price_minor=2**63)
    no_text = msgspec.json.encode(update(shop.ids[0])).replace(b"GBP", b"G\xffP")
    deep = b'{"item_id": ' + b"[" * 100_000
    places = send(
        own, b"{", b"", no_text, deep, wrong, huge, update(shop.ids[1], availability="out_of_stock")
    )
    assert shown(passed(braid, places)) == ["a", "c", "d", "e"]
    assert braid.metric("catalog_updates_total", outcome="refused") >= 6


def test_a_worker_that_starts_knows_the_shelf_before_it_is_ready(own: Options, shop: Snapshot):
    send(own, update(shop.ids[0], availability="withdrawn"), update(shop.ids[1], price_minor=777))
    with scorer(own) as braid:
        until(lambda: braid.request("GET", "/readyz").status_code == 200)
        answer = braid.recommend(visitor_id="v")
    assert shown(answer) == ["b", "c", "d", "e"]
    assert answer["results"][0]["price"] == "7.77"


def test_a_snapshot_that_is_swapped_in_has_the_shelf(own: Options, braid: Running, shop: Snapshot):
    passed(braid, send(own, update(shop.ids[0], availability="out_of_stock")))
    other = replace(shop, popularity=np.array([1, 2, 3, 4, 5, 6], np.float32), model_version="popularity-2")
    publish(own.serving, other)
    until(lambda: braid.recommend(visitor_id="v")["model_version"] == "popularity-2")
    assert shown(braid.recommend(visitor_id="v")) == ["e", "d", "c", "b"]
    assert shown(passed(braid, send(own, update(shop.ids[0])))) == ["e", "d", "c", "b", "a"]


def test_without_kafka_the_snapshot_answers_and_says_that_it_is_not_ready(own: Options, shop: Snapshot):
    with scorer(replace(own, kafka_bootstrap="127.0.0.1:1", delivery_seconds=0.2)) as braid:
        answer = braid.recommend(visitor_id="v")
        assert (shown(answer), answer["catalog_offset"]) == (["a", "b", "c", "d", "e"], [])
        ready = braid.request("GET", "/readyz")
    assert ready.status_code == 503
    assert any(told.startswith("catalog: ") for told in ready.json()["missing"])
