"""The gateway: good, bad and poisonous bytes through a real broker."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from confluent_kafka import KafkaError, Message, Producer

from contracts.door import MAX_RECORD_BYTES
from contracts.settings import TOPICS, Settings
from infra.gateway.routing import route
from infra.stack import LocalStack
from tests.flink_jobs.kit import LIMIT_SECONDS, START, Tail, items, micros, unique, wire

DEEP = b"[" * 200_000
POISON = {
    b"": "record: a JSON object",
    b"not json": "record: a JSON object",
    b'"\xff\xfe"': "record: UTF-8",
    DEEP: "record: nested too deep",
    b"[1, 2]": "record: a JSON object",
    b"x" * (MAX_RECORD_BYTES + 1): f"record: at most {MAX_RECORD_BYTES} bytes",
    b'{"event_id": "\\ud800"}': "record: a JSON object",
}


@pytest.mark.parametrize(("raw", "reason"), POISON.items(), ids=range(len(POISON)))
def test_poison_is_kept_with_its_reason(raw: bytes, reason: str) -> None:
    routed = route(raw, "events_raw", 2, 17, START)
    assert (routed.topic, routed.key, routed.reason) == ("rejected_events", "events_raw/2/17", reason)
    assert b64decode(json.loads(routed.value)["original"]) == raw


def test_a_tombstone_is_rejected() -> None:
    assert route(None, "events_raw", 0, 1, START).topic == "rejected_events"


def test_amounts_that_only_python_reads_are_rejected() -> None:
    for price in ("1e999999", "NaN", "1_0", "٣", "2.555"):
        event = wire("view_item", "e1", "v", 0, items=items("A", price=price))
        routed = route(json.dumps(event).encode(), "events_raw", 0, 1, START)
        assert (routed.reason or "").startswith("items[].price: "), price


def test_a_thousand_broken_items_are_one_message_with_one_label() -> None:
    event = wire("view_item_list", "e1", "v", 0, items=[{"price": 1.5, "quantity": 0}] * 1000)
    routed = route(json.dumps(event).encode(), "events_raw", 0, 1, START)
    assert routed.reason == "items[].item_id: required"
    assert len(routed.value) < 1_000_000


class Raw:
    """Writes raw records and remembers where each lies."""

    def __init__(self, settings: Settings) -> None:
        options: dict[str, Any] = {"bootstrap.servers": settings.kafka_bootstrap, "enable.idempotence": True}
        self._producer = Producer(options)
        self.places: list[str] = []

    def send(self, records: list[tuple[str, bytes]]) -> None:
        for key, value in records:
            self._producer.produce(TOPICS.events_raw, value, key, on_delivery=self._delivered)
        assert self._producer.flush(60) == 0

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        self.places.append(f"{message.topic()}/{message.partition()}/{message.offset()}")


def wait_for_events(events: Tail, visitor: str, ids: set[str]) -> list[dict[str, Any]]:
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        found = [json.loads(value) for key, value in events.read() if key == visitor.encode()]
        if {event["event_id"] for event in found} >= ids:
            return found
        time.sleep(0.2)
    raise AssertionError(f"only {len(found)} of {len(ids)} events of {visitor} came through")


def test_everything_goes_where_it_belongs(settings: Settings, stack: LocalStack) -> None:
    stack.up(["gateway"])
    v, raw, poison = unique("gate"), Raw(settings), list(POISON)
    events, refused = Tail(settings, TOPICS.events), Tail(settings, TOPICS.rejected_events)
    good = [wire("view_item", f"e{n}", v, n, items=items("A", price="2.55", quantity=2)) for n in range(2000)]
    late = wire("view_item", "last", v, 3000, items=items("A"))
    raw.send([(v, msgspec.json.encode(event)) for event in good])
    raw.places.clear()
    raw.send([("poison", value) for value in poison])
    raw.send([(v, msgspec.json.encode(late))])
    found = wait_for_events(events, v, {f"e{n}" for n in range(2000)} | {"last"})
    assert [event["event_id"] for event in found] == [*(f"e{n}" for n in range(2000)), "last"]
    assert found[7] | {"items": None} == found[7] | {
        "items": None,
        "event_time": micros(7),
        "value_minor": 510,
    }
    rejected = rejections(refused, set(raw.places[: len(poison)]))
    assert [b64decode(rejected[place]["original"]) for place in raw.places[: len(poison)]] == poison
    assert [rejected[place]["reason"] for place in raw.places[: len(poison)]] == list(POISON.values())


def rejections(refused: Tail, places: set[str]) -> dict[str, dict[str, Any]]:
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        found = {k.decode(): json.loads(v) for k, v in refused.read()}
        if found.keys() >= places:
            return found
        time.sleep(0.2)
    raise AssertionError(f"missing: {places - found.keys()}")


def test_metrics_count_what_moved(settings: Settings, stack: LocalStack) -> None:
    stack.up(["gateway"])
    before = read_metrics(settings)
    v, raw = unique("count"), Raw(settings)
    raw.send([(v, msgspec.json.encode(wire("page_view", f"e{n}", v, n))) for n in range(10)])
    raw.send([(v, b"{}")] * 3)
    end = time.monotonic() + LIMIT_SECONDS
    while (after := read_metrics(settings)).get("read", 0) < before.get(
        "read", 0
    ) + 13 and time.monotonic() < end:
        time.sleep(0.1)
    counted = {name: after[name] - before.get(name, 0) for name in ("read", "admitted", "rejected")}
    assert counted == {"read": 13, "admitted": 10, "rejected": 3}


def read_metrics(settings: Settings) -> dict[str, float]:
    """`read`, `admitted` and `rejected` (over all reasons)."""
    url = f"http://{settings.host}:{settings.port('gateway_metrics')}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    totals: dict[str, float] = {}
    for line in lines:
        name, _, value = line.rpartition(" ")
        short = name.partition("{")[0].removeprefix("braid_gateway_").removesuffix("_total")
        if short in ("read", "admitted", "rejected"):
            totals[short] = totals.get(short, 0) + float(value)
    return totals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_lost_when_it_is_stopped_in_mid_stream(
    settings: Settings, stack: LocalStack, number: signal.Signals
) -> None:
    stack.up(["gateway"])
    v, raw, events = unique("stop"), Raw(settings), Tail(settings, TOPICS.events)
    ids = [f"e{n}" for n in range(8000)]
    raw.send([(v, msgspec.json.encode(wire("page_view", event_id, v, n))) for n, event_id in enumerate(ids)])
    pid = next(unit.pid for unit in stack.status() if unit.name == "gateway")
    assert pid is not None
    os.kill(pid, number)
    wait_for_end(stack)  # told to stop, it drains first, and until then there is nothing to start
    stack.up(["gateway"])
    found = [event["event_id"] for event in wait_for_events(events, v, set(ids))]
    assert list(dict.fromkeys(found)) == ids  # the first of each are in order
    if number == signal.SIGTERM:
        assert found == ids  # drained: nothing twice


def wait_for_end(stack: LocalStack) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while any(unit.name == "gateway" and unit.pid is not None for unit in stack.status()):
        assert time.monotonic() < end, "the gateway did not end"
        time.sleep(0.05)
