"""What the scorer writes to Kafka: decisions with the rows they used, events and rejections."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from contracts.clock import to_micros, to_rfc3339
from contracts.decisions import Decision
from contracts.events import PURPOSES, read_event
from scorer.admission import LINE
from scorer.breaker import FAILURES_ALLOWED
from scorer.ingest import BATCHES, SOME
from scorer.service import Options
from tests.scorer.kit import (
    GRANTED_AT,
    NOW,
    Rows,
    Running,
    micros_ago,
    read_topic,
    scorer,
    unique,
    wire_event,
)

NOBODY = "127.0.0.1:1"


def decision_of(options: Options, decision_id: str) -> Decision:
    [(_, value)] = read_topic(options.kafka_bootstrap, "decisions", lambda key, _: key == decision_id)
    return msgspec.convert(value, Decision)


def test_the_decision_equals_the_answer_and_holds_the_rows(
    braid: Running, rows: Rows, options: Options
) -> None:
    visitor, user, grant = unique("v"), unique("u"), to_micros(GRANTED_AT)
    rows.consent(f"user:{user}", "granted")
    seen = {"session_last_items": ["a"], "session_carts": 2}
    rows.session(visitor, "s1", micros_ago(seconds=60), grant, **seen)
    rows.user(user, micros_ago(days=8), user_last_items=["b"])  # older than its budget
    answer = braid.recommend(visitor_id=visitor, session_id="s1", user_id=user, count=2)
    decision = decision_of(options, answer["decision_id"])
    assert [r.item_id for r in decision.results] == [r["item_id"] for r in answer["results"]]
    assert [r.score for r in decision.results] == [r["score"] for r in answer["results"]]
    assert msgspec.to_builtins(decision.degraded) == answer["degraded"]
    assert (decision.model_version, decision.placement) == (answer["model_version"], "home")
    assert (decision.visitor_id, decision.session_id, decision.user_id) == (visitor, "s1", user)
    assert decision.decided_at == to_micros(NOW)
    by_view = {row.view: row for row in decision.rows}
    session = by_view["session"]
    assert (session.key, session.found, session.age_seconds) == (
        {"visitor_id": visitor, "session_id": "s1"},
        True,
        60.0,
    )
    assert session.version == (micros_ago(seconds=60), 3)
    # What was stored, what was not as its default, and what consent and version need.
    stored = {"session_last_items": ["a"], "session_carts": 2, "session_searches": 0}
    carried = {"events_seen": 3, "consent_changed_at": grant}
    assert {**session.features, **stored, **carried} == session.features
    assert "user" not in by_view  # it was not used
    assert by_view["user_embedding"].found is False
    shopper = by_view["shopper"]
    assert (shopper.key, shopper.found) == ({"shopper_id": f"user:{user}"}, False)


def test_without_consent_the_record_names_nobody(braid: Running, rows: Rows, options: Options) -> None:
    visitor, user = unique("v"), unique("u")
    rows.consent(f"visitor:{visitor}", "denied")
    rows.session(visitor, "s1", micros_ago(seconds=5), to_micros(GRANTED_AT), session_last_items=["a"])
    answer = braid.recommend("product", visitor_id=visitor, session_id="s1", user_id=user, item_id="a")
    assert answer["degraded"]["rung"] == "contextual"
    decision = decision_of(options, answer["decision_id"])
    assert (decision.visitor_id, decision.user_id, decision.session_id) == (None, None, None)
    assert decision.rows == []
    assert visitor not in str(decision)
    assert user not in str(decision)


def test_events_go_through_the_door(braid: Running, options: Options) -> None:
    visitor = unique("v")
    good, searched = wire_event(visitor), wire_event(visitor, "search", search_term="mug", items=[])
    bad = wire_event(visitor, platform=7, items=[{"item_id": "a", "quantity": 0}])
    answer = braid.request("POST", "/v1/events", json={"events": [good, bad, searched]})
    assert (answer.status_code, answer.json()["accepted"], answer.json()["rejected"]) == (202, 2, 1)
    first, second, third = answer.json()["results"]
    assert (first["status"], first["event_id"]) == ("accepted", good["event_id"])
    assert (second["index"], second["status"]) == (1, "rejected")
    assert [rule["field"] for rule in second["violations"]] == ["platform", "items[0].quantity"]
    assert third["status"] == "accepted"
    taken = read_topic(options.kafka_bootstrap, "events", lambda key, _: key == visitor, count=2)
    assert [value for _, value in taken] == [read_event(good).event, read_event(searched).event]
    [(key, rejection)] = read_topic(
        options.kafka_bootstrap, "rejected_events", lambda _, value: visitor.encode() in _original(value)
    )
    assert key == f"{rejection['source']}/{rejection['position']}"
    assert msgspec.json.decode(_original(rejection)) == bad


def test_an_event_from_the_future_is_refused(braid: Running, options: Options) -> None:
    visitor = unique("v")
    # The clock stands at NOW and the tolerance is five minutes.
    last, later, far = (to_rfc3339(NOW + timedelta(seconds=s)) for s in (300, 300.000001, 6e9))
    changes = [{"received_time": time, "event_time": time} for time in (last, later, far)]
    changes[2]["consent"] = {**dict.fromkeys(PURPOSES, "granted"), "changed_at": far}
    answer = braid.request("POST", "/v1/events", json=[wire_event(visitor, **change) for change in changes])
    assert [result["status"] for result in answer.json()["results"]] == ["accepted", "rejected", "rejected"]
    for result in answer.json()["results"][1:]:
        [rule] = result["violations"]
        assert (rule["field"], rule["rule"]) == ("received_time", "not after the edge's clock")
    rejected = read_topic(
        options.kafka_bootstrap,
        "rejected_events",
        lambda _, value: visitor.encode() in _original(value),
        count=2,
    )
    assert {value["reason"] for _, value in rejected} == {"received_time: not after the edge's clock"}


def _original(rejection: dict[str, str]) -> bytes:
    return base64.b64decode(rejection["original"])


def test_one_event_or_a_list(braid: Running) -> None:
    one = braid.request("POST", "/v1/events", json=wire_event(unique("v")))
    many = braid.request("POST", "/v1/events", json=[wire_event(unique("v")), "x", {}])
    assert (one.status_code, one.json()["accepted"]) == (202, 1)
    assert [result["status"] for result in many.json()["results"]] == ["accepted", "rejected", "rejected"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "not JSON"),
        (b'{"events": [}', 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b'"events"', 422, "send one event"),
        (b'{"events": 3}', 422, "send one event"),
        (b"[]", 422, "0 events"),
        (b"[" + b"{}," * 1000 + b"{}]", 422, "1001 events"),
    ],
)
def test_a_body_that_is_not_events_is_refused(braid: Running, body: bytes, status: int, says: str) -> None:
    answer = braid.request("POST", "/v1/events", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert says in answer.json()["detail"]


def test_without_kafka_answers_go_out_and_events_are_refused(options: Options, braid: Running) -> None:
    cut_off = replace(options, kafka_bootstrap=NOBODY, delivery_seconds=0.5, decisions_queued=1)
    with scorer(cut_off) as alone:
        # One decision fits into the queue; the second is dropped and counted.
        for _ in range(2):
            assert alone.recommend(visitor_id="v")["results"]
        assert alone.metric("decisions_total", outcome="produced") == 1
        assert alone.metric("decisions_total", outcome="dropped") == 1
        answer = alone.request("POST", "/v1/events", json=wire_event("v"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "send them again" in answer.json()["detail"]
        for _ in range(FAILURES_ALLOWED):
            answer = alone.request("POST", "/v1/events", json=wire_event("v"))
        # Nobody waits for what did not answer five times; it is tried beside the requests.
        assert "did not take the last ones" in answer.json()["detail"]
        assert [cause.split(":")[0] for cause in alone.request("GET", "/readyz").json()["missing"]] == [
            "kafka",
            "catalog",
            "trends",
        ]


def test_large_batches_wait_and_too_many_are_sent_away_but_an_event_alone_passes(braid: Running) -> None:
    lane = braid.service.ingest.batches

    async def crowd() -> list[asyncio.Task[None]]:
        for _ in range(BATCHES):
            await lane.enter(first=False)
        waiting = [asyncio.create_task(lane.enter(first=False)) for _ in range(LINE)]
        await asyncio.sleep(0)
        return waiting

    async def clear(waiting: list[asyncio.Task[None]]) -> None:
        for _ in range(BATCHES + LINE):
            lane.leave()
        await asyncio.gather(*waiting)

    large = [wire_event(unique("v")) for _ in range(SOME + 1)]
    waiting = braid.wait(crowd())
    refused = braid.request("POST", "/v1/events", json=large)
    assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    assert braid.request("POST", "/v1/events", json=large[0]).json()["accepted"] == 1
    braid.wait(clear(waiting))
    assert braid.request("POST", "/v1/events", json=large).json()["accepted"] == SOME + 1
