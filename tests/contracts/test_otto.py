"""OTTO's adapter on lines in the exact form of the source."""

from __future__ import annotations

import json
from typing import Any

from contracts.adapters.otto import adapt_day
from contracts.adapters.wire import WireDay
from contracts.events import read_event

# 2022-07-31T22:00:00.025Z, in milliseconds.
AT = 1_659_304_800_025
MINUTE = 60_000


def touch(aid: Any, minutes: float, kind: str = "clicks") -> dict[str, Any]:
    return {"aid": aid, "ts": AT + int(minutes * MINUTE), "type": kind}


def day(*devices: Any) -> WireDay:
    return adapt_day(json.dumps(device) for device in devices)


def test_a_device_has_sessions_with_pauses_between_and_no_price() -> None:
    device = {"session": 7, "events": [touch(1, 0), touch(1, 30, "carts"), touch(2, 60.1)]}
    events = day(device).events
    assert [event["event_name"] for event in events] == ["view_item", "add_to_cart", "view_item"]
    # 30 minutes are no pause; 30.1 are.
    assert [event["session_id"] for event in events] == [f"7-{AT}", f"7-{AT}", f"7-{AT + 3_606_000}"]
    assert events[0]["event_time"] == "2022-07-31T22:00:00.025000Z"
    assert {event["visitor_id"] for event in events} == {"v-7"}
    assert events[1]["items"] == [{"item_id": "1", "quantity": 1}]
    flats = [read_event(event).event for event in events]
    assert [flat and (flat["price_minor"], flat["value_minor"]) for flat in flats] == [(None, 0)] * 3
    assert {event["consent"]["changed_at"] for event in events} == {"2022-07-31T00:00:00.000000Z"}


def test_what_is_ordered_together_is_one_purchase() -> None:
    kinds = [(1, "orders"), (9, "clicks"), (2, "orders"), (3, "carts")]
    device = {"session": 7, "events": [touch(aid, 5, kind) for aid, kind in kinds]}
    events = day(device).events
    assert [(e["event_name"], [i["item_id"] for i in e["items"]]) for e in events] == [
        ("view_item", ["9"]),
        ("add_to_cart", ["3"]),
        ("purchase", ["1", "2"]),
    ]
    assert len({event["event_id"] for event in events}) == 3


def test_an_odd_event_is_refused_and_the_others_stay() -> None:
    odd = [touch(1, 0, "likes"), touch(None, 0), {"aid": 1, "type": "clicks"}, touch(1, 0) | {"ts": 10**18}]
    adapted = day({"session": 7, "events": [touch(1, 0), *odd]}, {"session": 8}, [1])
    assert [(one.line, one.reason) for one in adapted.refused] == [
        (1, "type not read: likes"),
        (1, "no aid"),
        (1, "no ts"),
        (1, "unreadable time"),
        (2, "no session with a list of events"),
        (3, "not a JSON object"),
    ]
    assert json.loads(adapted.refused[0].original) == odd[0]
    assert len(adapted.events) == 1
