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


def decision(name: str, seen: int, newest: str, items: list[str]) -> dict[str, Any]:
    """A decision that used one session row."""
    counts = dict.fromkeys(
        ("session_carts", "session_cart_removals", "session_searches", "session_purchases"), 0
    )
    features = counts | {"session_items_viewed": seen, "session_carted_minor": 0, "session_removed_minor": 0}
    features |= {"session_last_items": items, "session_last_carted": None, "session_last_searches": []}
    features |= {"session_first_event_at": at("08-01 10:00"), "session_last_event_at": at(newest)}
    features |= {"events_seen": seen, "consent_changed_at": at("01-01 00:00")}
    row = {"view": "session", "key": {"visitor_id": "sim-1", "session_id": "s1"}, "found": True}
    row |= {"version": [at(newest), seen], "age_seconds": 1.0, "features": features}
    missing = {"view": "user", "key": {"user_id": "u"}, "found": False, "version": None, "features": {}}
    return {"decision_id": name, "decided_at": at("08-01 11:00"), "rows": [row, missing]}


def test_topics_become_tables_once_and_decisions_are_recomputed(run: Run) -> None:
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

    good = [
        decision("one", 1, "08-01 10:00", ["i1"]),
        decision("three", 3, "08-01 10:02", ["i3", "i2", "i1"]),
    ]
    send(run, TOPICS.decisions, [*good, decision("wrong", 2, "08-01 10:01", ["i1"])], "decision_id")
    run_decisions(run)
    parity = check_decisions(run)["parity"]
    assert (parity["decisions"], parity["rows"], parity["differences"]) == (3, {"session": 3}, 1)
    assert [example["decision_id"] for example in parity["examples"]] == ["wrong"]
