"""Snowplow's adapter on enriched events as the analytics SDKs write them, and as self-describing JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.adapters.snowplow import ACTIONS, adapt_day
from contracts.adapters.wire import WireDay
from contracts.events import PURPOSES, read_event

ACTION = "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
PRODUCT = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"
STEP = "contexts_com_snowplowanalytics_snowplow_ecommerce_checkout_step_1"
CONSENT = "unstruct_event_com_snowplowanalytics_snowplow_consent_preferences_1"
JUMPER = {
    "id": "P1234",
    "name": "Roll neck jumper",
    "category": "Woman/Knitwear/Jumpers",
    "price": 49.5,
    "list_price": 79,
    "currency": "EUR",
    "quantity": 2,
    "brand": "Snow",
    "position": 4,
    "inventory_status": "in stock",
}


def enriched(**changes: Any) -> dict[str, Any]:
    """The columns of an enriched web event that matter here, and some that do not."""
    return {
        "app_id": "shop",
        "platform": "web",
        "etl_tstamp": "2024-05-01T10:00:05.000Z",
        "collector_tstamp": "2024-05-01T10:00:02.123Z",
        "dvce_created_tstamp": "2024-05-01T10:59:59.000Z",
        "event": "unstruct",
        "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        "user_id": None,
        "domain_userid": "bc2e92ec6c204a14",
        "domain_sessionidx": 3,
        "domain_sessionid": "7a62ddad-2434-411c-bce6-7f9da8b66cba",
        "network_userid": "ecdff4d0-9175-40ac-a8bb-325c49733607",
        "geo_country": "DE",
        "mkt_medium": "email",
        "br_lang": "de-DE",
        "dvce_type": "Computer",
        "derived_tstamp": "2024-05-01T10:00:01.500Z",
        "event_vendor": "com.snowplowanalytics.snowplow.ecommerce",
        "event_name": "snowplow_ecommerce_action",
        "contexts_com_snowplowanalytics_snowplow_web_page_1": [{"id": "page-1"}],
        "contexts_com_iab_snowplow_spiders_and_robots_1": "odd",
        **changes,
    }


def action(kind: str, *products: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return enriched(**{ACTION: {"type": kind, "name": "recommended"}, PRODUCT: list(products)}, **changes)


def preferences(kind: str, **rest: Any) -> dict[str, Any]:
    return enriched(event_name="consent_preferences", **{CONSENT: {"event_type": kind, **rest}})


def day(*events: dict[str, Any]) -> WireDay:
    return adapt_day(json.dumps(one) for one in events)


def test_an_action_with_its_products_is_an_event() -> None:
    adapted = day(action("add_to_cart", JUMPER))
    (event,) = adapted.events
    assert (event["event_id"], event["event_name"]) == (
        "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        "add_to_cart",
    )
    assert event["event_time"] == "2024-05-01T10:00:01.500000Z"
    assert event["received_time"] == "2024-05-01T10:00:02.123000Z"
    assert (event["visitor_id"], event["page_view_id"]) == ("bc2e92ec6c204a14", "page-1")
    assert event["session_id"] == "7a62ddad-2434-411c-bce6-7f9da8b66cba"
    assert event["context"] == {"device": "desktop", "channel": "email", "country": "DE", "locale": "de-DE"}
    assert event["items"] == [
        {
            "item_id": "P1234",
            "price": "49.50",
            "currency": "EUR",
            "quantity": 2,
            "index": 4,
            "item_list_id": "recommended",
            "item_category": "Woman > Knitwear > Jumpers",
            "item_brand": "Snow",
        }
    ]
    flat = read_event(event).event
    assert flat is not None
    assert flat["value_minor"] == 2 * 4950
    assert [update["title"] for update in adapted.catalog] == ["Roll neck jumper"]


@pytest.mark.parametrize("kind", sorted(ACTIONS))
def test_every_action_is_an_event_that_the_door_takes(kind: str) -> None:
    (event,) = day(action(kind, JUMPER)).events
    assert event["event_name"] == ACTIONS[kind]
    assert read_event(event).violations == ()


def test_self_describing_json_is_read_as_its_columns_are() -> None:
    columns = action("product_view", JUMPER)
    vendor = "iglu:com.snowplowanalytics.snowplow"
    described = {
        name: value for name, value in columns.items() if not name.startswith(("contexts_", "unstruct_"))
    }
    described["unstruct_event"] = {
        "schema": f"{vendor}/unstruct_event/jsonschema/1-0-0",
        "data": {
            "schema": f"{vendor}.ecommerce/snowplow_ecommerce_action/jsonschema/1-0-2",
            "data": {"type": "product_view", "name": "recommended"},
        },
    }
    described["contexts"] = {
        "schema": f"{vendor}/contexts/jsonschema/1-0-0",
        "data": [
            {"schema": f"{vendor}.ecommerce/product/jsonschema/1-0-0", "data": JUMPER},
            {"schema": f"{vendor}/web_page/jsonschema/1-0-0", "data": {"id": "page-1"}},
            {"schema": "iglu:org.other/product_page/jsonschema/1-0-0", "data": {"id": "no product"}},
        ],
    }
    assert day(described).events == day(columns).events


def test_the_first_checkout_step_begins_the_checkout() -> None:
    first = action("checkout_step", event_id="1", **{STEP: [{"step": 1}]})
    second = action("checkout_step", event_id="2", **{STEP: [{"step": 2}]})
    adapted = day(first, second)
    assert [event["event_name"] for event in adapted.events] == ["begin_checkout"]
    assert [one.reason for one in adapted.refused] == ["checkout step after the first"]


def test_pages_and_searches_are_events() -> None:
    search = enriched(
        event_id="2",
        event_name="site_search",
        unstruct_event_com_snowplowanalytics_snowplow_site_search_1={"terms": ["blue", "mug"]},
    )
    events = day(enriched(event="page_view", event_name="page_view"), search).events
    assert [event["event_name"] for event in events] == ["page_view", "search"]
    assert events[1]["search_term"] == "blue mug"


def test_a_mobile_event_has_the_client_session() -> None:
    session = {"userId": "device-1", "sessionId": "session-1", "sessionIndex": 3}
    mobile = action(
        "product_view", JUMPER, platform="mob", domain_userid=None, domain_sessionid=None,
        contexts_com_snowplowanalytics_snowplow_client_session_1=[session],
    )  # fmt: skip
    (event,) = day(mobile).events
    assert (event["visitor_id"], event["session_id"], event["platform"]) == ("device-1", "session-1", "app")


@pytest.mark.parametrize(
    ("choice", "granted"),
    [
        ({"kind": "allow_all"}, set(PURPOSES)),
        ({"kind": "deny_all"}, set()),
        ({"kind": "allow_selected", "consent_scopes": ["necessary", "Preferences", "statistics"]},
         {"personalization", "analytics"}),
        ({"kind": "allow_selected", "consentScopes": ["marketing"]}, {"ads"}),
    ],
)  # fmt: skip
def test_a_consent_event_holds_for_what_follows(choice: dict[str, Any], granted: set[str]) -> None:
    chosen = preferences(**choice, consent_version="1.0")
    later = action("product_view", JUMPER, event_id="later", derived_tstamp="2024-05-01T10:00:02.000Z")
    update, view = day(later, chosen).events
    assert update["event_name"] == "consent_update"
    assert view["consent"] == update["consent"]
    assert {purpose for purpose in PURPOSES if view["consent"][purpose] == "granted"} == granted
    assert view["consent"]["changed_at"] == "2024-05-01T10:00:01.500000Z"
    assert view["consent"]["policy_version"] == "1.0"
    assert read_event(update).violations == ()


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (enriched(event="page_ping", event_name="page_ping"), "event not read: page_ping"),
        (action("promo_view"), "action not read: promo_view"),
        (action("add_to_cart", JUMPER, collector_tstamp=None), "unreadable time"),
        (action("add_to_cart", {**JUMPER, "price": 49.999}), "product.price has more than two decimal places"),
        (action("add_to_cart", JUMPER, domain_userid=None, network_userid=None),
         "no domain_userid, client session or network_userid"),
        (enriched(**{ACTION: "add_to_cart"}), f"{ACTION} is not a list of objects"),
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(event: dict[str, Any], reason: str) -> None:
    adapted = day(event)
    assert [one.reason for one in adapted.refused] == [reason]
    assert adapted.events == []
