"""Whatever a line holds, an adapter refuses it or gives records: it never raises, and nothing is lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.adapters import crm, ga4, online_retail, otto, rees46, segment, snowplow
from contracts.adapters.values import Unfit, moment, price
from contracts.adapters.wire import WireDay
from infra.dayfiles import check_day
from tests.contracts import test_ga4, test_segment, test_snowplow

Adapt = Callable[[list[str]], WireDay]
KEYS = st.sampled_from(
    ["event_name", "event_timestamp", "event_params", "items", "key", "value", "string_value", "item_id", "price",
     "quantity", "user_pseudo_id", "privacy_info", "analytics_storage", "device", "type", "event", "properties",
     "products", "context", "consent", "categoryPreferences", "timestamp", "anonymousId", "userId", "messageId",
     "event_id", "domain_userid", "collector_tstamp", "session", "events", "aid", "ts", "user_id", "unstruct_event",
     "contexts", "data", "schema", "updated_at", "interests", "loyalty_points", "attribute", "effective_time",
     "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1",
     "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["add_to_cart", "purchase", "track", "page", "Order Completed", "clicks", "orders", "product_view", "u1",
     "2024-05-01T10:00:00Z", "1714557600123456", "", "(not set)", "9.99", "NaN", "a|b", "x" * 300, "\x00"]
)  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
    | st.just(10**400) | st.just(1_714_557_600_123_456)
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=4), inner, max_size=8)
    ),
    max_leaves=25,
)
ROWS = st.dictionaries(KEYS, VALUES, max_size=14)
JSON = [ga4.adapt_day, segment.adapt_day, snowplow.adapt_day, otto.adapt_day, crm.adapt_day]


def gone_through(adapt: Adapt, line: str) -> int:
    """Records and refusals after the door; what is refused keeps its text."""
    day = adapt([line])
    checked = check_day(day, "any", date(2024, 5, 1))
    assert all(one.line == 1 for one in day.refused)
    return len(checked.events) + len(checked.catalog) + len(checked.rejected) + len(checked.profiles or ())


@pytest.mark.parametrize("adapt", JSON)
@settings(deadline=None)
@given(row=ROWS)
def test_any_json_object_is_records_or_refused(adapt: Adapt, row: dict[str, Any]) -> None:
    line = json.dumps(row)
    kept = gone_through(adapt, line)
    # A device without events, and a user of whom nothing is said, are no lost records.
    said_nothing = adapt is crm.adapt_day or (adapt is otto.adapt_day and row.get("events") == [])
    assert kept > 0 or said_nothing


WHOLE = {
    ga4.adapt_day: test_ga4.row(),
    # The sku stands in for a product_id.
    segment.adapt_day: test_segment.track("Product Added", {**test_segment.MONOPOLY, "sku": None}),
    snowplow.adapt_day: test_snowplow.action("add_to_cart", test_snowplow.JUMPER),
}


@pytest.mark.parametrize(("adapt", "record"), WHOLE.items())
def test_any_part_of_a_real_record_may_be_missing(adapt: Adapt, record: dict[str, Any]) -> None:
    poorer = list(without_one(record))
    assert len(poorer) > len(record)
    for row in poorer:
        assert gone_through(adapt, json.dumps(row)) > 0


def without_one(value: Any) -> Iterator[Any]:
    """The value without each of its keys in turn, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: poorer} for poorer in without_one(inner))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from ([*value[:n], poorer, *value[n + 1 :]] for poorer in without_one(inner))


@pytest.mark.parametrize("adapt", [*JSON[:4]])
@settings(deadline=None)
@given(line=st.text(min_size=1).filter(lambda text: text.strip("\ufeff \t\r\n") and not text.isdecimal()))
def test_any_text_is_refused(adapt: Adapt, line: str) -> None:
    (refused,) = adapt([line]).refused
    assert (refused.reason, refused.original) == ("not a JSON object", line.strip("\ufeff \t\r\n"))


@pytest.mark.parametrize("module", [online_retail, rees46])
@settings(deadline=None)
@given(line=st.text())
def test_any_line_under_a_header_is_refused(module: Any, line: str) -> None:
    header = ",".join(module.COLUMNS)
    assert len(module.adapt_day([header, line]).refused) == 1


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"a": "\\ud800"}', "NaN", "[1]", "null", '{"a": 1e99999999999999999999}', "{", "\udcff{}",
     '{"a": ' + "9" * 5000 + "}"],
)  # fmt: skip
@pytest.mark.parametrize("adapt", JSON[:4])
def test_known_traps_are_refused(adapt: Adapt, line: str) -> None:
    assert gone_through(adapt, line) == 1


@settings(deadline=None)
@given(st.integers(-(10**11), 10**11))
def test_every_amount_of_cents_is_itself_as_text_double_and_single(cents: int) -> None:
    written = f"{cents / 100:.2f}"
    assert price(json.loads(json.dumps(written))) == written.replace("-0.00", "0.00")


@settings(deadline=None)
@given(st.floats() | st.text() | st.integers() | st.booleans())
def test_a_price_is_two_places_or_unfit(value: object) -> None:
    try:
        read = price(value)
    except Unfit:
        return
    assert read is None or re.fullmatch(r"-?[0-9]+\.[0-9]{2}", read)


def test_times_are_read_in_the_forms_of_the_sources() -> None:
    forms = ["2024-05-01T10:00:00.5Z", "2024-05-01 10:00:00.500", "2024-05-01 10:00:00.500000 UTC",
             "2024-05-01T12:00:00.5+02:00"]  # fmt: skip
    assert {moment(form) for form in forms} == {"2024-05-01T10:00:00.500000Z"}
