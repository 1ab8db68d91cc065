"""The stream job on a real cluster: hand-worked events through Kafka into `online_features`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.features import SESSION
from contracts.settings import TOPICS, Settings
from infra.stack import LocalStack
from tests.flink_jobs.kit import Tail, items, micros, send, unique, wait_for, wire

DAY = 24 * 3600


@pytest.fixture(scope="module")
def cluster(settings: Settings, stack: LocalStack) -> Settings:
    stack.up(["flink-job"])
    return settings


@pytest.fixture
def rows(cluster: Settings) -> Tail:
    return Tail(cluster, TOPICS.online_features)


def test_one_session_is_aggregated_by_hand(cluster: Settings, rows: Tail) -> None:
    v = unique("ann")
    events = [
        wire("view_item", "e1", v, 10, items=items("A")),
        wire("add_to_cart", "e2", v, 20, items=items("A", "B", price="2.50", quantity=2)),
        wire("view_item", "e1", v, 10, items=items("A")),  # sent twice: once only
        wire("search", "e3", v, 25, search_term="mug"),
        wire("view_item", "e4", v, 5, items=items("C")),  # out of order: older than all before
        wire("view_item", "e6", v, 30, items=items("E")),
        wire("select_item", "e5", v, 30, items=items("D")),  # tie: e6 > e5, so E stands before D
        wire("remove_from_cart", "e7", v, 40, items=items("B", price="2.50")),
        wire("purchase", "e8", v, 50, items=items("A", price="2.50", quantity=2)),
        wire("view_item", "e9", v, 0, received_at=DAY + 1, items=items("L")),  # later than the horizon
        wire("view_item", "e10", v, 1, received_at=DAY + 1, items=items("M")),  # just within it
    ]
    send(cluster, events)
    found = wait_for(
        lambda: rows.rows("session", v), lambda r: any(x["events_seen"] == 9 for x in r.values())
    )
    [(key, row)] = found.items()
    assert key == (v, "s1", str(micros(-3600)))
    assert row.keys() == {
        "view",
        "made_at",
        *SESSION.join_keys,
        *SESSION.version,
        *(n for n, _ in SESSION.stored_columns),
    }
    worked = {
        "view": "session",
        "consent_changed_at": micros(-3600),
        "newest_event_time": micros(50),
        "events_seen": 9,  # e1 e2 e3 e4 e6 e5 e7 e8 e10
        "session_items_viewed": 4,  # e1 e4 e6 e10
        "session_carts": 1,
        "session_cart_removals": 1,
        "session_searches": 1,
        "session_purchases": 1,
        "session_carted_minor": 1000,  # (A + B) × 2.50 × 2
        "session_removed_minor": 250,
        "session_last_items": ["E", "D", "A", "A", "C", "M"],  # at 30, 30, 20 (cart), 10, 5, 1
        "session_last_carted": ["A"],
        "session_last_searches": ["mug"],
        "session_top_categories": None,
        "session_first_event_at": micros(1),
        "session_last_event_at": micros(50),
    }
    assert {name: row[name] for name in worked} == worked


def test_trends_count_what_is_new_and_a_late_event_counts_in_the_session_alone(
    cluster: Settings, rows: Tail
) -> None:
    v, item, trends = unique("tom"), unique("cup"), Tail(cluster, TOPICS.item_trends)
    at = 36_500 * DAY  # of what other tests have sent to this stack nothing is later, not even the clock's
    send(
        cluster,
        [
            wire("view_item", "e1", v, at + 10, items=items(item)),
            wire("view_item", "e1", v, at + 10, items=items(item)),  # sent twice
            wire("add_to_cart", "e2", v, at + 20, items=items(item, item)),  # once for the item
            *(
                wire("select_item", f"s{n}", v, at + 15, items=items(item)) for n in range(3)
            ),  # five make a row
        ],
    )
    wait_for(lambda: rows.rows("session", v), lambda r: any(x["events_seen"] == 5 for x in r.values()))
    # Then silence, and one event that ends the windows before it: no count is lost on the way.
    send(cluster, [wire("view_item", "e3", v, at + 3600, items=items("other"))])

    def windows() -> dict[int, Any]:
        """By window end: the topic's key is the item, a later window replaces the one before. The shopper goes on: of a silent topic nothing ends."""
        send(cluster, [wire("page_view", unique("e"), v, at + 3600, session_id="s2")])
        key = {"view": "item_trends_10m", "item_id": item}
        found = [json.loads(value) for named, value in trends.read() if json.loads(named) == key]
        return {row["window_end"]: row for row in found}

    found = wait_for(windows, lambda r: len(r) == 10)
    assert sorted(found) == [micros(at + 60 * minute) for minute in range(1, 11)]
    counted = ("events_seen", "item_trend_views_10m", "item_trend_carts_10m", "item_trend_purchases_10m")
    assert {tuple(row[name] for name in counted) for row in found.values()} == {(5, 1, 1, 0)}

    late = [wire("view_item", f"l{n}", v, at + 30, items=items(item)) for n in range(5)]
    send(cluster, late)  # behind the watermark
    session = wait_for(
        lambda: rows.rows("session", v), lambda r: any(x["events_seen"] == 11 for x in r.values())
    )
    [row] = [row for row in session.values() if row["session_id"] == "s1"]
    assert row["session_last_items"] == ["other", *[item] * 10]
    assert windows() == found


def test_without_consent_there_is_a_choice_but_no_session(cluster: Settings, rows: Tail) -> None:
    v = unique("bob")
    send(cluster, [wire("view_item", "e1", v, 10, consent="denied", items=items("A"))])
    found = wait_for(lambda: rows.rows("consent", v), bool)
    assert [row["consent_state"] for row in found.values()] == [f"{micros(-3600):017d}|22222"]
    assert rows.rows("session", v) == rows.rows("shopper", v) == {}


def test_a_new_grant_starts_empty(cluster: Settings, rows: Tail) -> None:
    v = unique("cid")
    events = [
        wire("view_item", "e1", v, 10, items=items("A")),
        wire("consent_update", "e2", v, 20, consent="denied", chosen_at=20),
        wire("view_item", "e3", v, 30, consent="denied", chosen_at=20, items=items("B")),
        wire("consent_update", "e4", v, 40, chosen_at=40),
        wire("view_item", "e5", v, 50, chosen_at=40, items=items("C")),
        wire("view_item", "e6", v, 12, items=items("D")),  # from before the denial, late
    ]
    send(cluster, events)
    found = wait_for(
        lambda: rows.rows("session", v), lambda r: sum(x["events_seen"] for x in r.values()) == 4
    )
    seen = {key[2]: (row["events_seen"], row["session_last_items"]) for key, row in found.items()}
    assert seen == {str(micros(-3600)): (2, ["D", "A"]), str(micros(40)): (2, ["C"])}
    chosen = wait_for(
        lambda: rows.rows("consent", v), lambda r: any(x["events_seen"] == 6 for x in r.values())
    )
    # The choice at 40 s holds, though e6 with the first one came last.
    assert {key: row["consent_state"] for key, row in chosen.items()} == {
        (f"visitor:{v}",): f"{micros(40):017d}|00000"
    }


def test_the_choice_follows_the_user_over_devices(cluster: Settings, rows: Tail) -> None:
    u, phone, desk = unique("user"), unique("phone"), unique("desk")
    events = [
        wire("login", "e1", phone, 10, user_id=u, consent="denied", chosen_at=5),
        wire(
            "login", "e1", desk, 20, user_id=u, chosen_at=1
        ),  # the same event_id of another device is another event
    ]
    send(cluster, events)
    found = wait_for(
        lambda: rows.rows("consent", u), lambda r: any(x["events_seen"] == 2 for x in r.values())
    )
    assert {key: row["consent_state"] for key, row in found.items()} == {
        (f"user:{u}",): f"{micros(5):017d}|22222"
    }


def test_each_row_is_made_of_the_first_events_in_offset_order(cluster: Settings, rows: Tail) -> None:
    """300 events, each sent twice: in every row, the newest item is the one numbered events_seen."""
    v = unique("dan")
    events = [wire("view_item", f"e{n}", v, n, items=items(f"i{n}")) for n in range(1, 301)]
    send(cluster, [event for event in events for _ in range(2)])
    wait_for(lambda: rows.rows("session", v), lambda r: any(x["events_seen"] == 300 for x in r.values()))
    told = [json.loads(value) for _, value in rows.read() if v.encode() in value]
    sessions = [row for row in told if row["view"] == "session"]
    assert [row["session_last_items"][0] for row in sessions] == [
        f"i{row['events_seen']}" for row in sessions
    ]
    assert [row["events_seen"] for row in sessions] == sorted(row["events_seen"] for row in sessions)
