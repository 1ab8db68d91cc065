"""The SQL of declared features, and the arithmetic of a cut."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accumulators import compute
from contracts.cuts import Cut, days_between
from contracts.feature_sql import SparkParts, flink_expression, spark_expression, spark_parts
from contracts.features import DERIVED, EVERY_VIEW, ByDay, Feature, FeatureType, LastK, Request, derive

FEATURES = {feature.name: feature for view in EVERY_VIEW for feature in view.features}
EVENT = {"event_name": "purchase", "event_time": 0}


@pytest.mark.parametrize(
    ("name", "flink"),
    [
        ("session_carts", "COUNT(*) FILTER (WHERE event_name IN ('add_to_cart'))"),
        (
            "session_carted_minor",
            "COALESCE(SUM(value_minor) FILTER (WHERE event_name IN ('add_to_cart')), 0)",
        ),
        ("session_first_event_at", "MIN(event_time)"),
        (
            "session_last_searches",
            "last_k(search_term, event_time, event_id, 5) "
            "FILTER (WHERE event_name IN ('search') AND search_term IS NOT NULL)",
        ),
        (
            "shopper_muted_items",
            "switched_on(preference_value, preference_action = 'mute', event_time, event_id, 50) "
            "FILTER (WHERE event_name IN ('preference_set') AND preference_scope = 'item' "
            "AND preference_value IS NOT NULL)",
        ),
        (
            "shopper_impressions_by_day",
            "by_day(CASE WHEN event_name IN ('view_item_list') THEN item_count END, event_time, 8)",
        ),
    ],
)
def test_flink_reads(name: str, flink: str) -> None:
    assert flink_expression(FEATURES[name]) == f"{flink} AS {name}"


def test_a_day_and_its_merge_are_one_declaration() -> None:
    parts = spark_parts(FEATURES["session_carted_minor"], "x")
    only = "CASE WHEN event_name IN ('add_to_cart') THEN value_minor END"
    assert parts == SparkParts(f"COALESCE(SUM({only}), 0)", "COALESCE(SUM(x), 0)", "x")


def test_trailing_days_end_at_the_cut() -> None:
    for expression in (spark_expression, flink_expression):
        text = expression(FEATURES["user_purchases_30d"], 100 * 86_400_000_000)
        # 100 - 30 = 70 days of 86,400,000,000 µs
        assert "event_time >= 6048000000000" in text


@pytest.mark.parametrize("name", ["user_purchases_30d", "user_vector", "item_covisited_7d"])
def test_what_is_no_aggregate_of_its_events_or_lacks_its_cut_is_refused(name: str) -> None:
    for refuse in (spark_expression, flink_expression, lambda feature: compute(feature, [EVENT])):
        with pytest.raises(ValueError, match=name):
            refuse(FEATURES[name])


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
    assert (
        flink_expression(every, None)
        == "by_day(CASE WHEN TRUE THEN CAST(1 AS BIGINT) END, event_time, 8) AS seen"
    )
