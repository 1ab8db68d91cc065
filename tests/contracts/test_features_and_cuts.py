"""What Spark and Flink are told of declared features, and the arithmetic of a cut."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.accumulators import compute
from contracts.cuts import Cut, days_between
from contracts.feature_flink import columns_of, row_call, view_spec
from contracts.feature_sql import COMPUTED_COLUMNS, SparkParts, spark_expression, spark_parts
from contracts.features import (
    CONSENT,
    DERIVED,
    EVERY_VIEW,
    ITEM_TRENDS,
    ByDay,
    Feature,
    FeatureType,
    LastK,
    Request,
    derive,
)

FEATURES = {feature.name: feature for view in EVERY_VIEW for feature in view.features}
EVENT = {"event_name": "purchase", "event_time": 0}


@pytest.mark.parametrize(
    ("name", "columns", "described"),
    [
        ("session_carts", [], {"aggregate": "count", "events": ["add_to_cart"]}),
        ("session_carted_minor", ["value_minor"], {"aggregate": "sum", "events": ["add_to_cart"], "column": 0}),
        ("session_first_event_at", ["event_time"], {"aggregate": "min", "column": 0}),
        (
            "session_last_searches",
            ["search_term"],
            {"aggregate": "last_k", "events": ["search"], "column": 0, "size": 5},
        ),
        (
            "shopper_muted_items",
            ["preference_action", "preference_scope", "preference_value"],
            {"aggregate": "switched", "events": ["preference_set"], "where": [[1, "item"]], "column": 2, "size": 50,
             "switch": 0, "on": "mute", "clears": "reset"},
        ),
        (
            "shopper_impressions_by_day",
            ["item_count"],
            {"aggregate": "by_day", "events": ["view_item_list"], "column": 0, "size": 8},
        ),
    ],
)  # fmt: skip
def test_flink_reads(name: str, columns: list[str], described: dict[str, Any]) -> None:
    feature = FEATURES[name]
    spec = json.loads(view_spec(("view", "visitor_id"), [feature]))
    assert columns_of([feature]) == columns
    assert spec["keys"] == ["view", "visitor_id"]
    assert spec["features"] == [{"name": name, "events": [], "where": [], **described}]


def test_flink_hands_computed_columns_in() -> None:
    # Columns in their order; what no event carries is worked out in the call, and is a number or text as declared.
    call = row_call(CONSENT, CONSENT.features)
    withdrawn = COMPUTED_COLUMNS["withdrawn_at"][1]
    columns = f"consent_state, session_id, visitor_id, {withdrawn}"
    assert call == f"consent_row(event_name, event_time, event_id, {columns})"
    spec = json.loads(view_spec((), CONSENT.features))
    assert spec["columns"] == ["STRING", "STRING", "STRING", "BIGINT"]


def test_a_day_and_its_merge_are_one_declaration() -> None:
    parts = spark_parts(FEATURES["session_carted_minor"], "x")
    only = "CASE WHEN event_name IN ('add_to_cart') THEN value_minor END"
    assert parts == SparkParts(f"COALESCE(SUM({only}), 0)", "COALESCE(SUM(x), 0)", "x")


def test_trailing_days_end_at_the_cut() -> None:
    # 100 - 30 = 70 days of 86,400,000,000 µs
    cut_end, feature = 100 * 86_400_000_000, FEATURES["user_purchases_30d"]
    assert "event_time >= 6048000000000" in spark_expression(feature, cut_end)
    assert json.loads(view_spec((), [feature], cut_end))["features"][0]["from"] == 6048000000000


@pytest.mark.parametrize("name", ["user_purchases_30d", "user_vector", "item_covisited_7d"])
def test_what_is_no_aggregate_of_its_events_or_lacks_its_cut_is_refused(name: str) -> None:
    for refuse in (spark_expression, lambda f: view_spec((), [f]), lambda f: compute(f, [EVENT])):
        with pytest.raises(ValueError, match=name):
            refuse(FEATURES[name])


@pytest.mark.parametrize(
    "wrong", [{"slide_minutes": 7}, {"slide_minutes": 0}, {"least_events": 0}, {"window_minutes": 0}]
)
def test_windows_are_refused_that_no_engine_could_make(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="item_trends_1h"):
        replace(ITEM_TRENDS[-1], **wrong)


def test_a_feature_is_named_once_and_after_its_entity() -> None:
    names = [feature.name for view in EVERY_VIEW for feature in view.features] + [one.name for one in DERIVED]
    assert len(names) == len(set(names))
    for view in EVERY_VIEW:
        entity = view.name.split("_")[0]
        assert all(feature.name.startswith(f"{entity}_") for feature in view.features)


def test_derived_features_read_what_is_stored() -> None:
    stored = {name for view in EVERY_VIEW for name, _ in view.stored_columns}
    assert {name for one in DERIVED for name in one.inputs} <= stored
    # Of nobody every derived feature of rows is its default.
    nobody = derive({}, Request(now=0))
    assert {one.name: nobody[one.name] for one in DERIVED if one.inputs} == {
        one.name: one.default for one in DERIVED if one.inputs
    }


def test_a_cut_ends_at_midnight_and_is_published_two_hours_later() -> None:
    cut = Cut(date(2011, 8, 31))
    assert cut.end == datetime(2011, 9, 1, tzinfo=UTC)
    assert cut.published_at == datetime(2011, 9, 1, 2, tzinfo=UTC)
    assert Cut(date(2011, 8, 31), timedelta(0)).published_at == cut.end
    assert cut.start_of(30) == datetime(2011, 8, 2, tzinfo=UTC)  # 31 August days less one


def test_days_between_holds_both_ends() -> None:
    assert days_between(date(2011, 2, 27), date(2011, 3, 1)) == [
        date(2011, 2, 27),
        date(2011, 2, 28),
        date(2011, 3, 1),
    ]
    assert days_between(date(2011, 3, 1), date(2011, 2, 28)) == []


def test_a_feature_that_one_engine_could_not_compute_is_refused() -> None:
    with pytest.raises(TypeError, match="recent: LastK takes text, and int64 is declared"):
        Feature("recent", "The last prices.", FeatureType.INT64, LastK("price_minor", 3))


def test_a_list_of_days_may_count_every_event() -> None:
    every = Feature("seen", "Events by day.", FeatureType.STRING_LIST, ByDay(8), default=None)
    assert json.loads(view_spec((), [every]))["features"] == [
        {"name": "seen", "aggregate": "by_day", "events": [], "where": [], "size": 8}
    ]
