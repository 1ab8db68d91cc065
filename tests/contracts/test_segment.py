"""Segment's and RudderStack's adapter on calls in the form of the e-commerce specification v2."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.adapters.segment import TRACKED, adapt_day
from contracts.adapters.wire import WireDay
from contracts.events import read_event

MONOPOLY = {
    "product_id": "507f1f77bcf86cd799439011",
    "sku": "45790-32",
    "category": "Games",
    "name": "Monopoly: 3rd Edition",
    "brand": "Hasbro",
    "variant": "200 pieces",
    "price": 18.99,
    "quantity": 1,
    "coupon": "MAYDEALS",
    "currency": "USD",
    "position": 3,
    "value": 18.99,
    "url": "https://www.example.com/product/path",
}
UNO = {"product_id": "505bd76785ebb509fc183733", "name": "Uno Card Game", "price": "3.00", "quantity": 2}
CATEGORIES = {"Advertising": True, "Analytics": False, "Functional": True, "DataSharing": False}


def call(kind: str = "track", **changes: Any) -> dict[str, Any]:
    """A call as Segment's bucket holds it: sent 2 s after it happened by a clock that is right."""
    return {
        "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
        "context": {
            "library": {"name": "analytics.js", "version": "2.11.1"},
            "locale": "en-US",
            "campaign": {"name": "spring", "medium": "email"},
            "userAgent": "Mozilla/5.0",
        },
        "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
        "originalTimestamp": "2024-05-01T10:00:00.000Z",
        "sentAt": "2024-05-01T10:00:02.000Z",
        "receivedAt": "2024-05-01T10:00:02.500Z",
        "timestamp": "2024-05-01T10:00:00.500Z",
        "type": kind,
        "userId": None,
        **changes,
    }


def track(event: str, properties: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return call(event=event, properties=properties or {}, **changes)


def day(*calls: dict[str, Any]) -> WireDay:
    return adapt_day(json.dumps(one) for one in calls)


def test_a_product_viewed_is_its_own_item() -> None:
    adapted = day(track("Product Viewed", MONOPOLY))
    (event,) = adapted.events
    assert (event["event_id"], event["event_name"]) == (
        "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
        "view_item",
    )
    assert event["event_time"] == "2024-05-01T10:00:00.500000Z"
    assert event["received_time"] == "2024-05-01T10:00:02.500000Z"
    assert (event["platform"], event["context"]) == ("web", {"channel": "email", "locale": "en-US"})
    assert event["items"] == [
        {
            "item_id": "507f1f77bcf86cd799439011",
            "price": "18.99",
            "currency": "USD",
            "quantity": 1,
            "index": 3,
            "item_category": "Games",
            "item_brand": "Hasbro",
        }
    ]
    assert read_event(event).event is not None
    assert [update["title"] for update in adapted.catalog] == ["Monopoly: 3rd Edition"]


def test_an_order_has_its_products_and_their_currency() -> None:
    order = {
        "order_id": "50314b8e9bcf000000000000",
        "total": 24.99,
        "currency": "USD",
        "products": [MONOPOLY, UNO],
    }
    (event,) = day(track("Order Completed", order, userId="u1")).events
    flat = read_event(event).event
    assert flat is not None
    assert (flat["event_name"], flat["user_id"], flat["item_count"]) == ("purchase", "u1", 2)
    # A product without a currency has the order's; 18.99 + 2 × 3.00.
    assert [item["currency"] for item in flat["items"]] == ["USD", "USD"]
    assert flat["value_minor"] == 1899 + 600


@pytest.mark.parametrize("name", sorted(TRACKED))
def test_every_tracked_name_is_an_event_that_the_door_takes(name: str) -> None:
    properties = {"query": "blue hotpants", "list_id": "hot_deals", "products": [MONOPOLY, UNO]}
    (event,) = day(track(name.title(), properties, userId="u1")).events
    assert event["event_name"] == TRACKED[name]
    assert read_event(event).violations == ()


def test_identify_is_a_login_and_a_page_is_a_page() -> None:
    calls = [
        call("identify", userId="97980cfea0067"),
        call("page", messageId="m2"),
        call("screen", messageId="m3"),
    ]
    events = day(*calls).events
    assert [event["event_name"] for event in events] == ["login", "page_view", "page_view"]
    assert [event["platform"] for event in events] == ["web", "web", "app"]


def test_without_timestamp_the_senders_clock_is_corrected() -> None:
    # The device's clock is an hour fast: sent 11:00:02 by it, received 10:00:02.5, so it happened at 10:00:00.5.
    fast = call("page", originalTimestamp="2024-05-01T11:00:00.000Z", sentAt="2024-05-01T11:00:02.000Z")
    del fast["timestamp"]
    assert day(fast).events[0]["event_time"] == "2024-05-01T10:00:00.500000Z"


def test_a_choice_counts_from_the_first_event_that_shows_it() -> None:
    def page(second: int, context: dict[str, Any]) -> dict[str, Any]:
        at = f"2024-05-01T10:00:{second:02d}.000Z"
        return call("page", messageId=f"m{second}", timestamp=at, receivedAt=at, context=context)

    said = {"consent": {"categoryPreferences": CATEGORIES}}
    withdrawn = {"consent": {"categoryPreferences": {**CATEGORIES, "Functional": False}}}
    rudder = {"consentManagement": {"allowedConsentIds": ["functional"], "deniedConsentIds": ["Analytics"]}}
    contexts = [{}, said, {}, said, withdrawn, rudder]
    events = day(*(page(second, context) for second, context in enumerate(contexts))).events
    shown = [(e["consent"]["personalization"], e["consent"]["changed_at"][17:19]) for e in events]
    assert shown == [
        ("unknown", "00"),  # 1970: nothing was said
        ("granted", "01"),
        ("granted", "01"),  # nothing said: the last choice holds
        ("granted", "01"),
        ("denied", "04"),
        ("granted", "05"),
    ]
    assert events[0]["consent"]["changed_at"].startswith("1970")
    assert events[1]["consent"] == {
        "analytics": "denied", "personalization": "granted", "ads": "granted", "email": "unknown",
        "push": "unknown", "changed_at": "2024-05-01T10:00:01.000000Z",
    }  # fmt: skip


def test_a_call_of_a_server_has_a_device_of_its_user() -> None:
    sent = track("Order Refunded", {"products": [MONOPOLY]}, anonymousId=None, userId="u1", context={})
    (event,) = day(sent).events
    assert (event["visitor_id"], event["platform"], event["event_name"]) == ("user-u1", "server", "refund")


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (track("Coupon Applied"), "event not read: Coupon Applied"),
        (call("group"), "type not read: group"),
        (call("identify"), "identify without a userId"),
        (track("Cart Viewed", anonymousId=None), "neither anonymousId nor userId"),
        (track("Cart Viewed", timestamp="yesterday"), "unreadable time"),
        (track("Product Added", {**MONOPOLY, "price": 18.999}), "price has more than two decimal places"),
        (track("Product Added", {**MONOPOLY, "quantity": "two"}), "quantity is no whole number"),
        (track("Cart Viewed", {"products": "many"}), "products is not a list of objects"),
    ],
)
def test_what_is_no_event_is_refused(sent: dict[str, Any], reason: str) -> None:
    adapted = day(sent)
    assert [one.reason for one in adapted.refused] == [reason]
    assert json.loads(adapted.refused[0].original) == sent
    assert adapted.events == []
