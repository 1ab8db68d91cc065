"""The one validator: every violation of a record is found, and a valid one becomes the flat form."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.catalog import CATALOG_FIELDS, read_catalog
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, NAMES, NAMES_WITH_ITEMS, read_event, shopper_id
from contracts.fields import Field, Kind, Violation, money

# 2011-09-02 is day 15,219 of the epoch; 08:15:00.25 that day in microseconds.
EVENT_TIME = (15_219 * 86_400 + 8 * 3600 + 15 * 60) * 1_000_000 + 250_000


def test_a_valid_event_becomes_flat(wire: SimpleNamespace) -> None:
    flat = read_event(wire.event()).event
    assert flat is not None
    assert flat["event_time"] == EVENT_TIME
    assert flat["received_time"] == EVENT_TIME + 750_000  # 10:15:01+02:00 is 08:15:01 UTC
    assert (flat["consent_email"], flat["context_country"]) == ("denied", "EIRE")
    assert (flat["item_id"], flat["value_minor"]) == ("85123A", 510)  # 2 x 255
    assert flat["items"][0]["price_minor"] == 255
    lead = (flat["category"], flat["brand"], flat["price_minor"], flat["item_count"], flat["pieces"])
    assert lead == ("Home > Living > Candles", "Alder & Co", 255, 1, 2)
    assert (flat["preference_action"], flat["preference_value"]) == ("mute", "85123A")


def test_what_is_optional_may_be_missing(wire: SimpleNamespace) -> None:
    wanted = wire.event(event_name="page_view")
    for name in ("user_id", "page_view_id", "attribution_token", "context", "search_term", "items"):
        del wanted[name]
    flat = read_event(wanted).event
    assert flat is not None
    assert (flat["items"], flat["item_id"], flat["value_minor"]) == ([], None, 0)
    assert shopper_id(flat) == "visitor:v1"


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"event_name": "add_to_basket"}, "event_name", "one of"),
        ({"event_time": "2011-09-02 08:15:00"}, "event_time", "RFC 3339"),
        ({"event_time": "2011-09-02T08:15:00"}, "event_time", "zone"),
        ({"event_time": "2011-02-30T08:15:00Z"}, "event_time", "RFC 3339"),
        ({"event_time": "2011-09-02T08:20:01.000001Z"}, "event_time", "not after received_time"),
        ({"visitor_id": ""}, "visitor_id", "not empty"),
        ({"visitor_id": "a\x00b"}, "visitor_id", "control"),
        ({"session_id": "s" * 129}, "session_id", "at most 128"),
        ({"engagement_ms": True}, "engagement_ms", "an integer"),
        ({"engagement_ms": 1.5}, "engagement_ms", "an integer"),
        ({"scroll_depth": 101}, "scroll_depth", "at most 100"),
        ({"event_name": "search", "search_term": None}, "search_term", "search_term"),
        ({"event_name": "login", "user_id": None}, "user_id", "user_id"),
        ({"preference": {"action": "mute"}}, "preference", "come together"),
        ({"preference": {"action": "hide", "scope": "item", "value": "a"}}, "preference.action", "one of"),
        ({"context": "mobile"}, "context", "a JSON object"),
        ({"items": []}, "items", "at least one item"),
        ({"event_name": "page_view", "items": {}}, "items", "a list"),
        ({"items": ["85123A"]}, "items[0]", "a JSON object"),
        ({"items": [{"item_id": "a", "price": 2.55}]}, "items[0].price", "decimal"),
        ({"items": [{"item_id": "a", "price": "2.555"}]}, "items[0].price", "two decimal places"),
        ({"items": [{"item_id": "a", "price": "-0.01"}]}, "items[0].price", "at least 0"),
        ({"items": [{"item_id": "a", "price": "NaN"}]}, "items[0].price", "finite"),
        ({"items": [{"item_id": "a", "quantity": 0}]}, "items[0].quantity", "at least 1"),
    ],
)
def test_each_rule(wire: SimpleNamespace, changes: dict[str, Any], field: str, rule: str) -> None:
    verdict = read_event(wire.event(**changes))
    assert verdict.event is None
    assert [violation.field for violation in verdict.violations] == [field]
    assert rule in verdict.violations[0].rule


@pytest.mark.parametrize("record", [None, [], "event", 7])
def test_what_is_no_object_is_one_violation(record: object) -> None:
    assert read_event(record).violations == (Violation("", str(record), "a JSON object"),)


def broken_value(field: Field) -> Any:
    """A value that breaks a rule of the field's own."""
    if field.kind is Kind.STRING:
        return "x" * 6000
    return {Kind.TIME: "yesterday", Kind.INTEGER: "7", Kind.MONEY: 7}[field.kind]


def put(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        record = record[key]
    record[path[-1]] = value


@given(broken=st.sets(st.sampled_from(EVENT_FIELDS)), broken_items=st.sets(st.sampled_from(ITEM_FIELDS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_violation_of_an_event_is_found(
    wire: SimpleNamespace, broken: set[Field], broken_items: set[Field]
) -> None:
    record = wire.event()
    for field in broken:
        put(record, field.wire_path, broken_value(field))
    for field in broken_items:
        put(record["items"][0], field.wire_path, broken_value(field))
    expected = {f.wire_name for f in broken} | {f"items[0].{f.wire_name}" for f in broken_items}
    assert {violation.field for violation in read_event(record).violations} == expected


@given(missing=st.sets(st.sampled_from(CATALOG_FIELDS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_missing_field_of_an_update_is_found(wire: SimpleNamespace, missing: set[Field]) -> None:
    record = wire.update()
    for field in missing:
        del record[field.wire_name]
    found = {violation.field for violation in read_catalog(record).violations}
    assert found == {field.wire_name for field in missing if field.required}


def test_a_valid_update_becomes_flat(wire: SimpleNamespace) -> None:
    flat = read_catalog(wire.update()).event
    assert flat is not None
    assert (flat["price_minor"], flat["margin_minor"], flat["effective_time"]) == (
        255,
        -10,
        15_219 * 86_400_000_000,
    )
    assert read_catalog(wire.update(price="0")).violations[0].rule == "at least 1"


def test_names_with_items_are_names() -> None:
    assert set(NAMES) >= NAMES_WITH_ITEMS
    assert len(set(NAMES)) == 21


@given(st.integers(min_value=0, max_value=10**9))
def test_money_goes_round(minor: int) -> None:
    record = {"item_id": "a", "price": money(minor)}
    event = {"items": [record]}
    price = [violation for violation in read_event(event).violations if violation.field == "items[0].price"]
    assert price == []
