"""A day against the days before it: each number by hand, and the rules made from the declarations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from math import log

import pytest

from contracts.catalog import CATALOG_FIELDS
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from contracts.expectations import (
    FEATURES,
    INGEST,
    ONLINE,
    RULES,
    Day,
    Rule,
    declared,
    rule_named,
    rules_of,
    trends,
)
from contracts.expectations.rules import EVENTS
from contracts.features import ITEM, USER
from contracts.fields import Field, Kind
from contracts.settings import Settings

ROWS = f"{EVENTS}.rows"
MONDAY = date(2011, 8, 22)


def days(count: int, **figures: float) -> list[Day]:
    """So many days before MONDAY, with 1,000 events each and these figures."""
    named = {f"{EVENTS}.{name}": value for name, value in figures.items()}
    return [Day(MONDAY - timedelta(days=n), {ROWS: 1000, **named}) for n in range(count, 0, -1)]


def today(rows: float = 1000, **figures: float) -> Day:
    return Day(MONDAY, {ROWS: rows, **{f"{EVENTS}.{name}": value for name, value in figures.items()}})


def passes(rule: Rule, day: Day, history: list[Day]) -> bool:
    assert rule.number is not None
    number = rule.number(day, history)
    return number is None or ((rule.minimum is None or number >= rule.minimum) and number <= rule.allowed)


def test_days_that_are_few_closed_far_or_tiny_are_not_compared() -> None:
    ratio = trends.judged(trends.ratio(ROWS))
    assert ratio(today(500), days(5)) == 0.5
    assert ratio(today(500), days(4)) is None
    assert ratio(today(99), days(5)) is None
    closed = [Day(day.on, {ROWS: 0}) for day in days(5)]
    assert ratio(today(500), closed) is None
    long_ago = [Day(day.on - timedelta(days=28), day.figures) for day in days(5)]
    assert ratio(today(500), long_ago) is None
    later = [Day(day.on + timedelta(days=10), day.figures) for day in days(5)]
    assert ratio(today(500), later) is None


def test_a_day_is_held_against_its_own_weekday_where_there_are_three() -> None:
    history = [Day(day.on, {ROWS: 100 if day.on.weekday() == MONDAY.weekday() else 1000}) for day in days(27)]
    by_weekday = trends.judged(trends.ratio(ROWS, by_weekday=True))
    assert by_weekday(today(100), history) == 1.0  # 08-15, 08-08 and 08-01 had 100 each
    assert by_weekday(today(100), history[-13:]) == pytest.approx(
        100 / (12 * 1000 + 100) * 13
    )  # 08-15 alone is not enough


def test_a_shop_closed_on_saturdays_is_not_late_on_sundays() -> None:
    history = [Day(day.on, {ROWS: 0 if day.on.weekday() == 5 else 1000}) for day in days(28)]
    volume = rule_named("volume_ratio")
    assert passes(volume, today(1000), history)
    assert passes(volume, today(0), history)  # a closed day is valid and empty
    assert not passes(volume, today(20), history)
    assert not passes(volume, today(6000), history)


def hours(*open_hours: int) -> float:
    return sum(2**hour for hour in open_hours)


def test_hours_missing_at_either_end_or_in_the_middle_break_a_rule() -> None:
    history = days(12, hours=hours(*range(8, 18)))
    names = ("open_hours_ratio", "first_hour_later", "last_hour_later", "hours_lost")

    def broken(*open_hours: int) -> set[str]:
        day = today(hours=hours(*open_hours))
        return {name for name in names if not passes(rule_named(name), day, history)}

    assert broken(*range(8, 18)) == set()
    assert broken(*range(9, 17)) == set()  # an hour less at each end: 8 of 10
    assert broken(*range(8, 13)) == {
        "open_hours_ratio",
        "last_hour_later",
        "hours_lost",
    }  # ends at 12, usual 17
    assert broken(*range(13, 18)) == {"open_hours_ratio", "first_hour_later", "hours_lost"}
    assert broken(8, 9, 10, 14, 15, 16, 17) == {"hours_lost"}  # 11 to 13 are gone


def test_a_unit_that_moves_is_a_factor_either_way() -> None:
    name = f"{EVENTS}.log.item.price_minor"
    factor = trends.factor(name)
    history = [Day(day.on, {**day.figures, name: log(300)}) for day in days(5)]
    for price in (30_000, 3):
        moved = factor(Day(MONDAY, {ROWS: 1000, name: log(price)}), history)
        assert moved == pytest.approx(100)
    assert factor(Day(MONDAY, {ROWS: 1000, name: None}), history) is None


def test_fields_that_are_lost_or_thinner_are_counted() -> None:
    """user_id wavers between 0.4 and 0.6, currency is always there."""
    user, currency = f"{EVENTS}.share.user_id", f"{EVENTS}.share.item.currency"
    history = [
        Day(day.on, {**day.figures, user: 0.4 + 0.2 * (n % 2), currency: 1.0})
        for n, day in enumerate(days(10))
    ]

    def counted(figures: Mapping[str, float]) -> tuple[float | None, float | None]:
        day, both = Day(MONDAY, {ROWS: 1000, **figures}), (user, currency)
        return trends.lost(*both)(day, history), trends.thinner(*both)(day, history)

    assert counted({user: 0.5, currency: 1.0}) == (0, 0)
    assert counted({user: 0.5, currency: 0.5}) == (0, 1)  # half of a steady field is gone
    assert counted({user: 0.25, currency: 1.0}) == (0, 0)  # 0.15 below the lowest, which wavers by 0.2
    assert counted({user: 0.04, currency: 0.0}) == (2, 2)  # 0.04 < 0.5 / 10; 0.36 below, less 0.2


def test_kinds_of_events_are_held_against_their_visits() -> None:
    carts, orders, visits = f"{EVENTS}.name.add_to_cart", f"{EVENTS}.name.purchase", f"{EVENTS}.sessions"
    history = [
        Day(day.on, {**day.figures, carts: 940, orders: 50 + n % 2 * 10, visits: 60})
        for n, day in enumerate(days(10))
    ]

    def counted(n: float, rows: float = 1000) -> tuple[float | None, ...]:
        day = Day(MONDAY, {ROWS: rows, carts: 940, orders: n, visits: 60})
        kinds = (carts, orders)
        return (
            trends.missing_kinds(kinds)(day, history),
            trends.fewer_kinds(kinds, visits)(day, history),
            trends.more_kinds(kinds, visits)(day, history),
        )

    assert counted(55) == (0, 0, 0)
    assert counted(31) == (0, 0, 0)  # 0.62 of the lowest day's 50
    assert counted(29) == (0, 1, 0)
    assert counted(7) == (1, 1, 0)  # under 0.15 of the 55 to be expected
    assert counted(181) == (0, 0, 1)  # over 3 × 60


def test_a_steady_share_may_move_less_than_one_that_wavers() -> None:
    steady, wavering = f"{EVENTS}.granted.analytics", f"{EVENTS}.granted.push"
    history = [
        Day(day.on, {**day.figures, steady: 1.0, wavering: 0.6 + 0.3 * (n % 2)})
        for n, day in enumerate(days(10))
    ]
    beyond = trends.beyond(steady, wavering)
    assert beyond(Day(MONDAY, {ROWS: 1000, steady: 0.8, wavering: 0.8}), history) == pytest.approx(0.2)
    assert beyond(Day(MONDAY, {ROWS: 1000, steady: 1.0, wavering: 0.4}), history) == pytest.approx(
        0.0
    )  # −0.1 for push


def test_the_share_of_rejects_is_a_setting() -> None:
    settings = Settings(reject_share=0.1)
    rule = next(rule for rule in rules_of(INGEST, settings) if rule.name == "reject_share")
    assert rule.allowed == 0.1
    assert trends.reject_share(Day(MONDAY, {ROWS: 30, "bronze_rejected.rows": 10}), []) == 0.25
    assert trends.reject_share(Day(MONDAY, {ROWS: 0, "bronze_rejected.rows": 9}), []) == 0
    assert trends.reject_share(Day(MONDAY, {ROWS: 0, "bronze_rejected.rows": 0}), []) == 0


def test_every_declared_field_that_can_break_has_its_rule_and_its_measures() -> None:
    names = {rule.name for rule in RULES}
    for prefix, fields in (("event", EVENT_FIELDS), ("item", ITEM_FIELDS), ("catalog", CATALOG_FIELDS)):
        for field in fields:
            assert (f"{prefix}_{field.name}" in names) is bool(declared.broken(field, "x")), field.name
    measures = {measure.name for measure in declared.field_measures()}
    assert f"{EVENTS}.share.user_id" in measures
    assert f"{EVENTS}.share.event_id" not in measures  # required: the rule of rows says it
    assert {f"{EVENTS}.log.item.quantity", "bronze_catalog.log.price_minor"} <= measures


def test_a_field_becomes_the_condition_that_it_declares() -> None:
    field = Field("platform", Kind.STRING, "where", required=True, choices=("web", "app"), max_length=3)
    assert declared.broken(field, "x") == "x IS NULL OR x = '' OR length(x) > 3 OR x NOT IN ('web', 'app')"
    number = Field("quantity", Kind.INTEGER, "pieces", minimum=1, maximum=9)
    assert declared.broken(number, "x") == "x < 1 OR x > 9"


def test_every_stored_feature_of_gold_has_a_rule_where_one_can_be_made() -> None:
    rules = {rule.name: rule for rule in RULES if rule.gate is ONLINE}
    assert (
        rules["user_last_items"].violation
        == "size(user_last_items) > 30 OR exists(user_last_items, one -> one IS NULL)"
    )
    assert rules["user_purchases_30d"].violation == "user_purchases_30d IS NULL OR user_purchases_30d < 0"
    assert "> unix_micros(event_timestamp)" in rules["user_last_purchase_at"].violation
    for view in (USER, ITEM):
        assert {name for name in view.feature_names if name in rules} == {
            feature.name for feature in view.features if declared.broken_feature(feature)
        }
    assert {rule.gate for rule in RULES} == {INGEST, FEATURES, ONLINE}
