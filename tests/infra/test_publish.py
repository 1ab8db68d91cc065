"""Publishing a day into a real Kafka: what was sent is what lies there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from contracts.adapters.wire import WireDay
from contracts.settings import TOPICS, Settings
from infra.publish import paced, publish_day, read_day_wire, with_prices
from infra.simulator.parameters import ShopParameters
from infra.simulator.source import SimulatedShop
from infra.stack import LocalStack

SMALL = ShopParameters(items=48, shoppers=40, sessions_per_day=15)
ON = date(2010, 12, 1)


@pytest.fixture(scope="module")
def kafka(stack: LocalStack, settings: Settings) -> Settings:
    stack.up(["kafka"])
    return settings


def read_from(settings: Settings, topic: str, begins: dict[int, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and value of every record that lies in the topic from the given offsets on."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "test-publish"})
    try:
        for partition, begin in begins.items():
            consumer.assign([TopicPartition(topic, partition, begin)])
            _, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
            at, deadline = begin, time.monotonic() + 60
            while at < end and time.monotonic() < deadline:
                message = consumer.poll(1.0)
                if message is not None and message.error() is None:
                    key, value = message.key(), message.value()
                    assert key is not None and value is not None
                    at = (message.offset() or 0) + 1
                    yield key.decode(), json.loads(value)
            assert at >= end
    finally:
        consumer.close()


def ends(settings: Settings, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition; waits where a new topic has no leader yet."""
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "test-publish"})
    deadline = time.monotonic() + 60
    found: dict[int, int] = {}
    try:
        while len(found) < settings.kafka_partitions:
            try:
                partition = TopicPartition(topic, len(found))
                found[len(found)] = consumer.get_watermark_offsets(partition, timeout=30)[1]
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        consumer.close()
    return found


def test_a_day_lies_in_kafka_as_it_was_read(kafka: Settings) -> None:
    begins = {topic: ends(kafka, topic) for topic in (TOPICS.events_raw, TOPICS.catalog)}
    published = publish_day(kafka, "simulator", ON, shop=SMALL)
    day = SimulatedShop(SMALL).read_day(ON)
    assert (published.events, published.catalog) == (len(day.events), 48)
    sent = dict[str, list[dict[str, Any]]]()
    for key, event in read_from(kafka, TOPICS.events_raw, begins[TOPICS.events_raw]):
        sent.setdefault(key, []).append(event)
    expected = dict[str, list[dict[str, Any]]]()
    for event in read_day_wire(kafka, "simulator", ON, SMALL):
        expected.setdefault(event["visitor_id"], []).append(event)
    # Keyed by visitor, so that each visitor's events keep their order.
    assert sent == expected
    updates = dict(read_from(kafka, TOPICS.catalog, begins[TOPICS.catalog]))
    assert set(updates) == {update["item_id"] for update in day.catalog}
    assert all(isinstance(update["price_minor"], int) for update in updates.values())


def test_planted_prices_are_a_hundred_times_as_high(kafka: Settings) -> None:
    begins = ends(kafka, TOPICS.catalog)
    publish_day(kafka, "simulator", ON, price_factor=100, shop=SMALL)
    planted = dict(read_from(kafka, TOPICS.catalog, begins))
    for update in SimulatedShop(SMALL).read_day(ON).catalog:
        # "2.55" is 255 minor units; a hundred times as much is 25,500.
        assert planted[update["item_id"]]["price_minor"] == round(float(update["price"]) * 100) * 100


def test_prices_of_items_are_multiplied_too() -> None:
    event = {"event_id": "e", "items": [{"item_id": "a", "price": "2.55"}, {"item_id": "b"}]}
    day = with_prices(WireDay([event], [{"item_id": "a", "price": "2.1"}]), 100)
    assert day.events[0]["items"] == [{"item_id": "a", "price": "255.00"}, {"item_id": "b"}]
    assert day.catalog == [{"item_id": "a", "price": "210.0"}]


def test_pace_keeps_the_order_and_skips_nothing() -> None:
    events = [{"event_time": f"2011-08-30T08:00:0{n}.000000Z"} for n in range(4)]
    assert list(paced(events, speed=1000.0)) == list(paced(events, speed=None)) == events
