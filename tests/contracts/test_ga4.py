"""GA4's adapter on rows in the form of BigQuery's JSON export: 64-bit integers as texts, prices as doubles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.adapters.ga4 import adapt_day
from contracts.adapters.wire import WireDay
from contracts.catalog import read_catalog
from contracts.events import read_event

# 2024-05-01T10:00:00.123456Z; ga_session_id is the second in which the session began.
AT = 1_714_557_600_123_456


def param(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


SESSION = param("ga_session_id", int_value="1714557590")
SHIRT = {
    "item_id": "SKU_12345",
    "item_name": "Stan and Friends Tee",
    "item_brand": "Google",
    "item_variant": "(not set)",
    "item_category": "Apparel",
    "item_category2": "Adult",
    "item_category3": "Shirts",
    "item_category4": "(not set)",
    "item_category5": "",
    "price_in_usd": 10.01,
    "price": 9.99,
    "quantity": "3",
    "item_list_id": "related_products",
    "item_list_index": "2",
    "promotion_id": "(not set)",
    "item_params": [],
}


def row(**changes: Any) -> dict[str, Any]:
    """A row of `events_20240501` with the columns that a web property has."""
    return {
        "event_date": "20240501",
        "event_timestamp": str(AT),
        "event_name": "add_to_cart",
        "event_params": [
            param("currency", string_value="EUR"),
            SESSION,
            param("engagement_time_msec", int_value="4120"),
            param("value", double_value=29.97),
        ],
        "event_bundle_sequence_id": "-1389",
        "user_id": "u-77",
        "user_pseudo_id": "1966115345.1714557000",
        "privacy_info": {"analytics_storage": "Yes", "ads_storage": "No", "uses_transient_token": "No"},
        "user_properties": [],
        "device": {"category": "mobile", "language": "de-de", "web_info": {"browser": "Chrome"}},
        "geo": {"continent": "Europe", "country": "Germany", "city": "Berlin"},
        "traffic_source": {"name": "(direct)", "medium": "(none)", "source": "(direct)"},
        "collected_traffic_source": {"manual_medium": "email", "manual_source": "newsletter"},
        "stream_id": "1234",
        "platform": "WEB",
        "ecommerce": {"transaction_id": "(not set)"},
        "items": [SHIRT],
        "is_active_user": True,
        "batch_event_index": "2",
        "batch_page_id": "1714557590000",
        "batch_ordering_id": "4",
        **changes,
    }


def day(*rows: dict[str, Any] | str) -> WireDay:
    return adapt_day(one if isinstance(one, str) else json.dumps(one) + "\n" for one in rows)


def test_a_row_becomes_an_event() -> None:
    adapted = day(row())
    (event,) = adapted.events
    assert event["event_name"] == "add_to_cart"
    assert event["event_time"] == event["received_time"] == "2024-05-01T10:00:00.123456Z"
    assert (event["visitor_id"], event["user_id"]) == ("1966115345.1714557000", "u-77")
    assert (event["session_id"], event["platform"], event["engagement_ms"]) == ("1714557590", "web", 4120)
    assert event["context"] == {
        "device": "mobile", "channel": "email", "country": "Germany", "locale": "de-de",
    }  # fmt: skip
    assert event["items"] == [
        {
            "item_id": "SKU_12345",
            "price": "9.99",
            "currency": "EUR",
            "quantity": 3,
            "index": 2,
            "item_list_id": "related_products",
            "item_category": "Apparel > Adult > Shirts",
            "item_brand": "Google",
        }
    ]
    flat = read_event(event).event
    assert flat is not None
    assert flat["value_minor"] == 3 * 999
    (update,) = adapted.catalog
    assert (update["title"], update["price"], update["currency"]) == ("Stan and Friends Tee", "9.99", "EUR")
    assert read_catalog(update).event is not None


def test_consent_is_what_consent_mode_says_and_nothing_more() -> None:
    consent = day(row()).events[0]["consent"]
    assert consent == {
        "analytics": "granted", "ads": "denied", "personalization": "unknown", "email": "unknown",
        "push": "unknown", "changed_at": "2024-05-01T10:00:00.123456Z",
    }  # fmt: skip
    unset = row(privacy_info={"analytics_storage": None, "ads_storage": None})
    assert day(unset).events[0]["consent"]["changed_at"] == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("view_search_results", "search"),
        ("view_item_list", "view_item_list"),
        ("purchase", "purchase"),
        ("screen_view", "page_view"),
        ("login", "login"),
    ],
)
def test_names_are_ours(theirs: str, ours: str) -> None:
    params = [SESSION, param("currency", string_value="EUR"), param("search_term", string_value="blue mug")]
    (event,) = day(row(event_name=theirs, event_params=params)).events
    assert event["event_name"] == ours
    assert event.get("search_term") == ("blue mug" if ours == "search" else None)
    assert read_event(event).event is not None


@pytest.mark.parametrize(
    ("literal", "cents"),
    [
        ("12.99", "12.99"),
        ("12", "12.00"),
        ("12.990", "12.99"),
        ("1.2e1", "12.00"),
        ("12.989999771118164", "12.99"),  # 12.99 in single precision
        ("0.30000000000000004", "0.30"),  # 0.1 + 0.2 in doubles
        ("8.4034", None),  # 10.00 less 19 % tax: not an amount of cents
        ("12.995", None),
        ('"zehn"', None),
    ],
)
def test_a_double_is_a_price_only_if_it_says_cents(literal: str, cents: str | None) -> None:
    adapted = day(json.dumps(row()).replace('"price": 9.99', f'"price": {literal}'))
    if cents is None:
        reason = "no amount of money" if "zehn" in literal else "more than two decimal places"
        assert [one.reason.endswith(reason) for one in adapted.refused] == [True]
        assert adapted.events == adapted.catalog == []
    else:
        assert [event["items"][0]["price"] for event in adapted.events] == [cents]


def test_ids_depend_on_the_place_in_the_batch_else_on_the_row() -> None:
    unnumbered = {"batch_event_index": None, "batch_page_id": None, "batch_ordering_id": None}
    rows = [row(), row(batch_event_index="3"), row(**unnumbered), row(**unnumbered, stream_id="5")]
    adapted = day(*rows, row(geo={}), row(**unnumbered))
    assert len({event["event_id"] for event in adapted.events}) == 4
    assert [(one.line, one.reason) for one in adapted.refused] == [
        (5, "event_id seen before"),
        (6, "event_id seen before"),
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"event_name": "session_start"}, "event_name not read: session_start"),
        ({"event_name": None}, "event_name not read: NoneType"),
        ({"user_pseudo_id": None}, "no user_pseudo_id: a cookieless ping"),
        ({"event_timestamp": "soon"}, "time is no whole number"),
        ({"event_timestamp": None}, "unreadable time"),
        ({"event_timestamp": "9" * 19}, "unreadable time"),
        ({"items": {"item_id": "a"}}, "items is not a list of objects"),
        ({"items": [{**SHIRT, "quantity": "1.5"}]}, "items.quantity is no whole number"),
        ({"event_params": [7]}, "event_params is not a list of objects"),
    ],
)
def test_what_is_no_event_is_refused_with_its_line(changes: dict[str, Any], reason: str) -> None:
    line = json.dumps(row(**changes))
    adapted = day("\n", line)
    assert [(one.line, one.reason, one.original) for one in adapted.refused] == [(2, reason, line)]
    assert adapted.events == []


def test_without_ga_session_id_a_pause_of_half_an_hour_begins_a_session() -> None:
    minute = 60_000_000
    times = {0: "a", 29 * minute: "b", 58 * minute: "c", 89 * minute: "d"}  # gaps of 29, 29 and 31 minutes
    rows = [
        row(event_timestamp=str(AT + gap), event_params=[], stream_id=name) for gap, name in times.items()
    ]
    sessions = [event["session_id"] for event in day(*rows).events]
    # 10:00:00 is 1714557600; 89 minutes later 1714562940.
    assert sessions == ["from-1714557600"] * 3 + ["from-1714562940"]
