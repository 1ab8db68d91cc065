"""Derived features and the request's context: in the record what `derive` says of the rows in it, and no more."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import to_micros
from contracts.decisions import Context, Decision
from contracts.features import DERIVED, SERVICE_VIEWS, Request, derive
from scorer.service import Options
from tests.scorer.kit import GRANTED_AT, NOW, Rows, Running, micros_ago, read_topic, unique

GRANT, T = to_micros(GRANTED_AT), to_micros(NOW)
DAY = 24 * 3600
CONTEXT = {"device": "mobile", "channel": "email", "country": "France"}
MAY_BE_SAID_OF_ANYBODY = {
    "request_device": "mobile",
    "request_channel": "email",
    "request_country": "France",
    "request_promotion": None,
    # NOW is Friday 2 September 2011, 12:00.
    "request_hour": 12,
    "request_weekday": 4,
    "request_season": "autumn",
}


def decision_of(options: Options, answer: dict[str, Any]) -> Decision:
    wanted = answer["decision_id"]
    [(_, value)] = read_topic(options.kafka_bootstrap, "decisions", lambda key, _: key == wanted)
    return msgspec.convert(value, Decision)


def a_shopper(rows: Rows) -> dict[str, str]:
    """Two pieces of 12.50 in the cart after 4 events in 2 minutes; bought on the day of the cut and on the day after."""
    who = {"visitor_id": unique("v"), "session_id": "s1", "user_id": unique("u")}
    cut_end = to_micros(NOW.replace(day=1, hour=0))
    rows.consent(f"user:{who['user_id']}", "granted")
    times = {
        "session_first_event_at": micros_ago(seconds=150),
        "session_last_event_at": micros_ago(seconds=30),
    }
    cart = {"session_events": 4, "session_carted_minor": 2500, "session_carted_pieces": 2}
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=30), GRANT, **times, **cart)
    days = ["2011-09-01=1", "2011-08-31=2"]
    rows.shopper(f"user:{who['user_id']}", micros_ago(hours=20), GRANT, shopper_purchases_by_day=days)
    spent = {"user_purchases_90d": 4, "user_spend_minor_90d": 10_000, "user_top_hours_90d": ["9", "17"]}
    rows.user(who["user_id"], cut_end, user_cut_end_at=cut_end, **spent)
    return who


def test_the_record_derives_what_its_rows_say(braid: Running, rows: Rows, options: Options) -> None:
    answer = braid.recommend(**a_shopper(rows), context=CONTEXT)
    decision = decision_of(options, answer)
    assert (decision.context, decision.decided_at) == (Context(**CONTEXT), T)
    stored = {name: value for row in decision.rows for name, value in row.features.items()}
    assert decision.derived == derive(stored, Request(T, "mobile", "email", "France"))
    hand_worked = MAY_BE_SAID_OF_ANYBODY | {
        "session_stage": "deciding",
        "session_recency_seconds": 30.0,
        "session_pace": 2.0,
        "session_cart_minor": 2500,
        "session_cart_pieces": 2,
        "shopper_purchases_since_cut": 1,
        "user_purchases_90d_now": 5,
        "user_order_mean_minor": 2500.0,
        "user_preferred_hour": 9,
    }
    assert {name: decision.derived[name] for name in hand_worked} == hand_worked
    assert answer["features"]["stage"] == "deciding"


def test_without_consent_only_the_request_speaks(braid: Running, rows: Rows, options: Options) -> None:
    who = a_shopper(rows)
    rows.consent(f"visitor:{who['visitor_id']}", "denied", GRANT + 1)
    answer = braid.recommend(**who, context=CONTEXT)
    assert answer["features"]["stage"] is None
    said = {name: value for name, value in decision_of(options, answer).derived.items() if value}
    assert said == {name: value for name, value in MAY_BE_SAID_OF_ANYBODY.items() if value}


def test_a_request_without_context_says_the_hour_alone(braid: Running, rows: Rows, options: Options) -> None:
    decision = decision_of(options, braid.recommend(visitor_id=unique("v"), context=None))
    assert decision.context == Context()
    assert decision.derived == derive({}, Request(T))


def test_a_row_too_old_to_be_used_derives_nothing(braid: Running, rows: Rows, options: Options) -> None:
    who = a_shopper(rows)
    rows.user(who["user_id"], micros_ago(days=8), user_purchases_90d=4)
    decision = decision_of(options, braid.recommend(**who))
    assert "user" not in {row.view for row in decision.rows}
    # All three purchases that the stream counts, for no row says that a cut holds some.
    assert decision.derived["user_purchases_90d_now"] == 3


def test_a_value_of_a_wrong_form_costs_what_the_rows_say(
    braid: Running, rows: Rows, options: Options
) -> None:
    who = a_shopper(rows)
    before = braid.metric("derive_errors_total")
    rows.shopper(f"user:{who['user_id']}", micros_ago(hours=1), GRANT, shopper_carts_by_day=["yesterday=1"])
    answer = braid.recommend(**who, context=CONTEXT)
    assert (len(answer["results"]), answer["features"]["stage"]) == (5, None)
    assert decision_of(options, answer).derived == derive({}, Request(T, "mobile", "email", "France"))
    assert braid.metric("derive_errors_total") == before + 1


@pytest.mark.parametrize("one", DERIVED, ids=lambda one: one.name)
def test_a_derived_feature_reads_no_more_than_it_declares(one: Any) -> None:
    for empty in (None, 0):
        one.function(dict.fromkeys(one.inputs, empty), Request(T))


@given(st.sets(st.sampled_from(SERVICE_VIEWS)), st.integers(0, 400 * DAY))
def test_a_missing_row_derives_what_its_defaults_do(found: set[Any], seconds: int) -> None:
    """So that training, which joins nulls, and serving, which reads defaults, agree."""
    defaults = {feature.name: feature.default for view in found for feature in view.features}
    now = Request(T + seconds * 1_000_000, **CONTEXT)
    assert derive(defaults, now) == derive({}, now)
