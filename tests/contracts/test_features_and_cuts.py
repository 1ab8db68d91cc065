"""The SQL of declared features, and the arithmetic of a cut."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.cuts import Cut, days_between
from contracts.feature_sql import Engine, expression
from contracts.features import SESSION, USER, USER_EMBEDDING, Feature

SESSION_FEATURES = {feature.name: feature for feature in SESSION.features}
USER_FEATURES = {feature.name: feature for feature in USER.features}


@pytest.mark.parametrize(
    ("name", "flink"),
    [
        ("session_carts", "COUNT(*) FILTER (WHERE event_name IN ('add_to_cart')) AS session_carts"),
        (
            "session_carted_minor",
            "COALESCE(SUM(value_minor) FILTER (WHERE event_name IN ('add_to_cart')), 0) AS session_carted_minor",
        ),
        ("session_first_event_at", "MIN(event_time) AS session_first_event_at"),
        (
            "session_last_searches",
            "last_k(search_term, event_time, event_id, 5) "
            "FILTER (WHERE event_name IN ('search') AND search_term IS NOT NULL) AS session_last_searches",
        ),
    ],
)
def test_flink_reads(name: str, flink: str) -> None:
    assert expression(SESSION_FEATURES[name], Engine.FLINK) == flink


def test_spark_sorts_what_flink_keeps_sorted() -> None:
    assert expression(SESSION_FEATURES["session_last_searches"], Engine.SPARK) == (
        "transform(slice(sort_array(collect_list(struct(event_time, event_id, search_term AS value)) "
        "FILTER (WHERE event_name IN ('search') AND search_term IS NOT NULL), false), 1, 5), row -> row.value) "
        "AS session_last_searches"
    )


def test_trailing_days_end_at_the_cut() -> None:
    text = expression(USER_FEATURES["user_purchases_30d"], Engine.SPARK, 100 * 86_400_000_000)
    # 100 - 30 = 70 days of 86,400,000,000 µs
    assert "event_time >= 6048000000000)" in text


@pytest.mark.parametrize("feature", [USER_FEATURES["user_purchases_30d"], USER_EMBEDDING.features[0]])
def test_what_is_no_aggregate_or_lacks_its_cut_is_refused(feature: Feature) -> None:
    with pytest.raises(ValueError, match=feature.name):
        expression(feature, Engine.SPARK)


@pytest.mark.parametrize("feature", [f for f in SESSION.features if f.name != "session_last_items"])
def test_both_engines_read_the_same_but_for_lists(feature: Feature) -> None:
    same = expression(feature, Engine.SPARK) == expression(feature, Engine.FLINK)
    assert same == (not feature.name.startswith("session_last_") or feature.name.endswith("_at"))


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
