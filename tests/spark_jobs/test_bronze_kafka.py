"""Bronze and the checks over a real broker: only what is new is read, and decisions are held against recomputed rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession
from shop import DENIED, at, event, update

from contracts.decisions import Context, Row, derived_of
from contracts.features import SESSION, SHOPPER, View
from contracts.settings import TOPICS, Settings
from infra.stack import LocalStack
from spark_jobs.bronze import run_bronze
from spark_jobs.checks import check_decisions, session_counts
from spark_jobs.decisions import run_decisions
from spark_jobs.run import Run
from tests.ports import free_port_base

CUT = date(2011, 8, 1)


@pytest.fixture
def run(spark: SparkSession, settings: Settings, tmp_path: Path) -> Iterator[Run]:
    """A run over a broker of its own: bronze reads all of a topic, and other tests write to the shared one."""
    own = replace(settings, var=tmp_path, port_base=free_port_base())
    broker = LocalStack(own)
    try:
        broker.up(["kafka"])
        yield Run(spark, own, CUT, CUT)
    finally:
        broker.down()


def send(run: Run, topic: str, records: list[dict[str, Any]], key: str) -> None:
    producer = Producer({"bootstrap.servers": run.settings.kafka_bootstrap})
    for record in records:
        producer.produce(topic, json.dumps(record).encode(), record[key])
    assert producer.flush(30) == 0


def used(view: View, key: dict[str, str], seen: int, newest: str, **features: Any) -> dict[str, Any]:
    """A row that a decision used; what is not given is the feature's default."""
    values = {feature.name: feature.default for feature in view.features} | features
    chosen = dict.fromkeys((f"{view.name}_consent_at", "consent_changed_at"), at("01-01 00:00"))
    values |= {"events_seen": seen} | chosen
    found = {"found": True, "version": [at(newest), seen], "age_seconds": 1.0}
    return {"view": view.name, "key": key, **found, "features": values}


def visit(seen: int, newest: str, items: list[str]) -> dict[str, Any]:
    """The session row after `seen` product views."""
    features = dict.fromkeys(("session_events", "session_items_viewed", "session_distinct_items"), seen)
    times = {"session_first_event_at": at("08-01 10:00"), "session_last_event_at": at(newest)}
    key = {"visitor_id": "sim-1", "session_id": "s1"}
    return used(SESSION, key, seen, newest, **features, **times, session_last_items=items)


def shopper(who: str, seen: int, newest: str, **features: Any) -> dict[str, Any]:
    key = {"shopper_id": who}
    return used(SHOPPER, key, seen, newest, shopper_last_event_at=at(newest), **features)


def decision(name: str, *rows: dict[str, Any], **derived: Any) -> dict[str, Any]:
    """A decision of these rows, with its derived features; `derived` are recorded in place of the right ones."""
    missing = {"view": "user", "key": {"user_id": "u"}, "found": False, "version": None, "age_seconds": None}
    all_rows, country = [*rows, missing | {"features": {}}], {"country": "France"}
    right = derived_of([Row(**row) for row in all_rows], Context(**country), at("08-01 11:00"))
    recorded = {"rows": all_rows, "context": country, "derived": right | derived}
    return {"decision_id": name, "decided_at": at("08-01 11:00"), **recorded}


def test_topics_become_tables_once(run: Run) -> None:
    mine = {"visitor_id": "sim-1"}
    first = [
        event("a", "08-01 10:00", item_id="i1", **mine),
        event("b", "08-01 10:01", item_id="i2", **mine),
        event("a", "08-01 10:00", item_id="i1", **mine),  # sent twice: counts once
        event("refused", "08-01 10:00", **mine, **DENIED),  # not in the session view
        event("old", "08-01 10:00", received_time=at("08-09 10:00"), **mine),
    ]
    send(run, TOPICS.events, first, "visitor_id")
    send(run, TOPICS.catalog, [update("i1", "08-01 08:00", 300)], "item_id")
    run_bronze(run)
    send(run, TOPICS.events, [event("c", "08-01 10:02", item_id="i3", **mine)], "visitor_id")
    run_bronze(run)
    run_bronze(run)
    events = run.read("bronze_events").collect()  # type: ignore[union-attr]
    assert sorted(row["event_id"] for row in events) == ["a", "a", "b", "c", "refused"]
    assert {row["source"] for row in events} == {"kafka:events"}
    rejected = run.read("bronze_rejected").collect()  # type: ignore[union-attr]
    assert [row["reason"] for row in rejected] == ["too_late"]
    assert run.read("bronze_catalog").first()["price_minor"] == 300  # type: ignore[union-attr,index]
    assert session_counts(run) == {"session_counts": {"sim-1/s1": 3}}


def test_decisions_are_recomputed(run: Run) -> None:
    """Of one device, of a shopper with two, and of what the decision derived from its rows."""
    mine = {"visitor_id": "sim-1"}
    views = [event(f"v{n}", f"08-01 10:0{n}", item_id=f"i{n}", **mine) for n in (0, 1, 2)]
    first, second = ({"visitor_id": device, "user_id": "u2"} for device in ("d1", "d2"))
    mute = {"preference_action": "mute", "preference_scope": "item", "preference_value": "i9"}
    spent = [
        event("x1", "08-01 10:00", "purchase", value_minor=500, **first),
        event("x2", "08-01 10:02", "purchase", value_minor=300, **first),
        event("y1", "08-01 10:01", "preference_set", **mute, **second),
    ]
    send(run, TOPICS.events, [*views, *spent], "visitor_id")
    send(run, TOPICS.catalog, [update("i1", "08-01 08:00", 300)], "item_id")
    run_bronze(run)
    one, both = (["2011-08-01=1"], ["2011-08-01=500"]), (["2011-08-01=2"], ["2011-08-01=800"])
    days = ("shopper_purchases_by_day", "shopper_spend_minor_by_day")
    muted = {"shopper_muted_items": ["i9"]}
    right = [
        decision("1", visit(1, "08-01 10:00", ["i0"]), shopper("visitor:sim-1", 1, "08-01 10:00")),
        decision(
            "3", visit(3, "08-01 10:02", ["i2", "i1", "i0"]), shopper("visitor:sim-1", 3, "08-01 10:02")
        ),
        # Of two devices the first events of each, in any order: x1 and y1, x1 and x2, or y1 alone.
        decision("x1 y1", shopper("user:u2", 2, "08-01 10:01", **muted, **dict(zip(days, one, strict=True)))),
        decision("x1 x2", shopper("user:u2", 2, "08-01 10:02", **dict(zip(days, both, strict=True)))),
        decision("y1", shopper("user:u2", 1, "08-01 10:01", **muted)),
        {"decision_id": "of before", "decided_at": at("08-01 11:00"), "rows": []},
    ]
    wrong = [
        decision("session", visit(2, "08-01 10:01", ["i0"])),
        decision("shopper", shopper("visitor:sim-1", 2, "08-01 10:01", shopper_muted_items=["i0"])),
        decision("unknown", shopper("visitor:nobody", 1, "08-01 10:01")),
        # x2 without x1 is no beginning of the first device.
        decision("two devices", shopper("user:u2", 1, "08-01 10:02", **dict(zip(days, one, strict=True)))),
        decision("derived", session_recency_seconds=7.0, request_hour=11.0),
    ]
    send(run, TOPICS.decisions, [*right, *wrong], "decision_id")
    run_decisions(run)
    parity = check_decisions(run)["parity"]
    rows = {"session": 3, "shopper": 4, "shopper_several_devices": 4, "derived": 10}
    assert (parity["decisions"], parity["rows"], parity["differences"]) == (11, rows, 5)
    assert {(e["decision_id"], e["view"]) for e in parity["examples"]} == {
        ("session", "session"),
        ("shopper", "shopper"),
        ("unknown", "shopper"),
        ("two devices", "shopper_several_devices"),
        ("derived", "derived"),
    }
    [derived] = [example for example in parity["examples"] if example["view"] == "derived"]
    # 11 is not 11.0, so that a type that changes is seen; the decision used no session.
    assert json.loads(derived["used"]) == {"request_hour": 11.0, "session_recency_seconds": 7.0}
    assert json.loads(derived["expected"]) == {"request_hour": 11, "session_recency_seconds": None}
