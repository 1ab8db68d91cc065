"""Derived features: pure functions of stored values, the request and now; the same code serves and trains.

A function gets a row in which every input stands (None where no row was found) and the `Request`; serving takes the
request's time as now, training the label's. Times are epoch µs, money minor units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from contracts.clock import from_micros
from contracts.features.declare import DAY_MICROS, Derived, FeatureType, Request, Value
from contracts.settings import SESSION_MAX_EVENTS

Row = Mapping[str, Any]
FLOAT, INT64, STRING = FeatureType.FLOAT64, FeatureType.INT64, FeatureType.STRING
SECOND_MICROS = 1_000_000
MINUTE_MICROS = 60 * SECOND_MICROS
COMPARED_ITEMS = 3
SEASONS = ("winter", "spring", "summer", "autumn")


def derive(row: Row, request: Request) -> dict[str, Value]:
    """Every derived feature of a shopper at a moment.

    Args:
        row: stored values by name, of all views that were read; what is missing counts as None.
    """
    known = {name: row.get(name) for name in INPUTS}
    return {one.name: one.function(known, request) for one in DERIVED}


def session_stage(row: Row, _: Request) -> str | None:
    """buying: a checkout or purchase; deciding: something in the cart, or the cart viewed; comparing: several items
    of one category; else browsing."""
    if row["session_last_event_at"] is None:
        return None
    if _number(row, "session_checkouts") or _number(row, "session_purchases"):
        return "buying"
    if session_cart_pieces(row, _) or _number(row, "session_carts_viewed"):
        return "deciding"
    several = _number(row, "session_distinct_items") >= COMPARED_ITEMS
    touches = _number(row, "session_category_touches")
    one_kind = touches > 0 and 2 * _number(row, "session_top_category_touches") >= touches
    return "comparing" if several and one_kind else "browsing"


def session_recency_seconds(row: Row, request: Request) -> float | None:
    return _since(row["session_last_event_at"], request.now, SECOND_MICROS)


def session_pace(row: Row, _: Request) -> float | None:
    """Events a minute; a visit shorter than a minute counts as one."""
    first, last, events = row["session_first_event_at"], row["session_last_event_at"], row["session_events"]
    if first is None or last is None or events is None:
        return None
    return float(events / max(1.0, (last - first) / MINUTE_MICROS))


def session_is_bot(row: Row, _: Request) -> int:
    return int(_number(row, "session_events") > SESSION_MAX_EVENTS)


def session_cart_minor(row: Row, _: Request) -> int:
    return max(0, _number(row, "session_carted_minor") - _number(row, "session_removed_minor"))


def session_cart_pieces(row: Row, _: Request) -> int:
    return max(0, _number(row, "session_carted_pieces") - _number(row, "session_removed_pieces"))


def session_price_mean_minor(row: Row, _: Request) -> float | None:
    return _ratio(row["session_price_sum_minor"], row["session_priced_touches"])


def session_top_category_share(row: Row, _: Request) -> float | None:
    return _ratio(row["session_top_category_touches"], row["session_category_touches"])


def session_scroll_mean(row: Row, _: Request) -> float | None:
    return _ratio(row["session_scroll_sum"], row["session_scrolls"])


def shopper_purchases_since_cut(row: Row, request: Request) -> int:
    return _since_cut(row, "shopper_purchases_by_day", request)


def shopper_spend_since_cut_minor(row: Row, request: Request) -> int:
    return _since_cut(row, "shopper_spend_minor_by_day", request)


def shopper_carts_since_cut(row: Row, request: Request) -> int:
    return _since_cut(row, "shopper_carts_by_day", request)


def user_purchases_90d_now(row: Row, request: Request) -> int:
    """The user row's, and the days after its cut."""
    return _number(row, "user_purchases_90d") + shopper_purchases_since_cut(row, request)


def shopper_impressions_today(row: Row, request: Request) -> int:
    return _by_day(row["shopper_impressions_by_day"]).get(_day(request.now), 0)


def shopper_emails_7d(row: Row, request: Request) -> int:
    return _trailing(row["shopper_emails_by_day"], request, 7)


def shopper_pushes_7d(row: Row, request: Request) -> int:
    return _trailing(row["shopper_pushes_by_day"], request, 7)


def user_order_mean_minor(row: Row, _: Request) -> float | None:
    return _ratio(row["user_spend_minor_90d"], row["user_purchases_90d"])


def user_return_rate(row: Row, _: Request) -> float | None:
    return _ratio(row["user_refunds_90d"], row["user_purchases_90d"])


def user_days_since_purchase(row: Row, request: Request) -> float | None:
    return _since(row["user_last_purchase_at"], request.now, DAY_MICROS)


def user_tenure_days(row: Row, request: Request) -> float | None:
    return _since(row["user_first_seen_at"], request.now, DAY_MICROS)


def user_price_level_minor(row: Row, _: Request) -> float | None:
    return _ratio(row["user_carted_price_sum_minor_90d"], row["user_carted_priced_90d"])


def user_price_sensitivity(row: Row, _: Request) -> float | None:
    """Mean price carted over mean price viewed: below 1 the shopper chooses the cheaper of what is looked at."""
    carted = user_price_level_minor(row, _)
    viewed = _ratio(row["user_viewed_price_sum_minor_90d"], row["user_viewed_priced_90d"])
    return None if carted is None or not viewed else carted / viewed


def user_category_affinity(row: Row, _: Request) -> float | None:
    return _ratio(row["user_top_category_touches_90d"], row["user_category_touches_90d"])


def user_brand_affinity(row: Row, _: Request) -> float | None:
    return _ratio(row["user_top_brand_touches_90d"], row["user_brand_touches_90d"])


def user_dwell_per_session_ms(row: Row, _: Request) -> float | None:
    return _ratio(row["user_dwell_ms_30d"], row["user_sessions_30d"])


def user_email_open_rate(row: Row, _: Request) -> float | None:
    return _ratio(row["user_emails_opened_90d"], row["user_emails_sent_90d"])


def user_preferred_hour(row: Row, _: Request) -> int | None:
    hours = row["user_top_hours_90d"]
    return int(hours[0]) if hours else None


def request_hour(_: Row, request: Request) -> int:
    return request.now // (3600 * SECOND_MICROS) % 24


def request_weekday(_: Row, request: Request) -> int:
    """0 is Monday; 1970-01-01 was a Thursday."""
    return (request.now // DAY_MICROS + 3) % 7


def request_season(_: Row, request: Request) -> str:
    """Of the northern hemisphere, by whole months."""
    return SEASONS[from_micros(request.now).month % 12 // 3]


def _number(row: Row, name: str) -> int:
    value = row[name]
    return value if isinstance(value, int) else 0


def _ratio(part: int | None, of: int | None) -> float | None:
    return part / of if part is not None and of else None


def _since(moment: int | None, now: int, unit: int) -> float | None:
    """Units from `moment` to now; 0 for a moment that a tolerated clock puts ahead."""
    return None if moment is None else max(0, now - moment) / unit


def _by_day(days: Sequence[str] | None) -> dict[int, int]:
    """Day number → n, of what `ByDay` writes."""
    found = (entry.partition("=") for entry in days or ())
    return {_day_of(day): int(n) for day, _, n in found}


@lru_cache(maxsize=4096)
def _day_of(text: str) -> int:
    """Of an ISO date; requests of a day name the same few."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def _day(micros: int) -> int:
    return micros // DAY_MICROS


def _since_cut(row: Row, name: str, request: Request) -> int:
    """The sum over the days that the user row does not hold, all of them without one; none after now."""
    begin = _day(_number(row, "user_cut_end_at"))
    return sum(n for day, n in _by_day(row[name]).items() if begin <= day <= _day(request.now))


def _trailing(days: Sequence[str] | None, request: Request, count: int) -> int:
    today = _day(request.now)
    return sum(n for day, n in _by_day(days).items() if today - count < day <= today)


def _of_request(name: str, what: str, attribute: str) -> Derived:
    return Derived(name, what, STRING, lambda _, request: getattr(request, attribute))


CUT_END = "user_cut_end_at"
CART = ("session_carted_pieces", "session_removed_pieces")
STAGE = (
    "session_last_event_at", "session_checkouts", "session_purchases", "session_carts_viewed", *CART,
    "session_distinct_items", "session_category_touches", "session_top_category_touches",
)  # fmt: skip
PACE = ("session_first_event_at", "session_last_event_at", "session_events")
PRICES = ("user_carted_price_sum_minor_90d", "user_carted_priced_90d")
VIEWED = ("user_viewed_price_sum_minor_90d", "user_viewed_priced_90d")

DERIVED = (
    Derived("session_stage", "browsing, comparing, deciding or buying", STRING, session_stage, STAGE),
    Derived("session_recency_seconds", "Seconds since the newest event", FLOAT, session_recency_seconds,
            ("session_last_event_at",)),
    Derived("session_pace", "Events a minute", FLOAT, session_pace, PACE),
    Derived("session_is_bot", "1 for a session of more than 1,000 events", INT64, session_is_bot, ("session_events",), 0),
    Derived("session_cart_minor", "Value in the cart, minor units", INT64, session_cart_minor,
            ("session_carted_minor", "session_removed_minor"), 0),
    Derived("session_cart_pieces", "Pieces in the cart", INT64, session_cart_pieces, CART, 0),
    Derived("session_price_mean_minor", "Mean price of items touched, minor units", FLOAT, session_price_mean_minor,
            ("session_price_sum_minor", "session_priced_touches")),
    Derived("session_top_category_share", "Share of the category touched most", FLOAT, session_top_category_share,
            ("session_top_category_touches", "session_category_touches")),
    Derived("session_scroll_mean", "Mean scroll depth, percent", FLOAT, session_scroll_mean,
            ("session_scroll_sum", "session_scrolls")),
    Derived("shopper_purchases_since_cut", "Purchases after the cut of the user row", INT64,
            shopper_purchases_since_cut, ("shopper_purchases_by_day", CUT_END), 0),
    Derived("shopper_spend_since_cut_minor", "Spent after the cut of the user row, minor units", INT64,
            shopper_spend_since_cut_minor, ("shopper_spend_minor_by_day", CUT_END), 0),
    Derived("shopper_carts_since_cut", "Additions to the cart after the cut of the user row", INT64,
            shopper_carts_since_cut, ("shopper_carts_by_day", CUT_END), 0),
    Derived("user_purchases_90d_now", "Purchases in 90 days to the cut and since", INT64, user_purchases_90d_now,
            ("user_purchases_90d", "shopper_purchases_by_day", CUT_END), 0),
    Derived("shopper_impressions_today", "Items shown in lists today (UTC)", INT64, shopper_impressions_today,
            ("shopper_impressions_by_day",), 0),
    Derived("shopper_emails_7d", "E-mails sent in 7 days to today", INT64, shopper_emails_7d,
            ("shopper_emails_by_day",), 0),
    Derived("shopper_pushes_7d", "Push messages sent in 7 days to today", INT64, shopper_pushes_7d,
            ("shopper_pushes_by_day",), 0),
    Derived("user_order_mean_minor", "Mean order, minor units", FLOAT, user_order_mean_minor,
            ("user_spend_minor_90d", "user_purchases_90d")),
    Derived("user_return_rate", "Refunds a purchase", FLOAT, user_return_rate, ("user_refunds_90d", "user_purchases_90d")),
    Derived("user_days_since_purchase", "Days since the newest purchase", FLOAT, user_days_since_purchase,
            ("user_last_purchase_at",)),
    Derived("user_tenure_days", "Days since the first event", FLOAT, user_tenure_days, ("user_first_seen_at",)),
    Derived("user_price_level_minor", "Mean price carted, minor units", FLOAT, user_price_level_minor, PRICES),
    Derived("user_price_sensitivity", "Mean price carted over mean price viewed", FLOAT, user_price_sensitivity,
            (*PRICES, *VIEWED)),
    Derived("user_category_affinity", "Share of the category touched most", FLOAT, user_category_affinity,
            ("user_top_category_touches_90d", "user_category_touches_90d")),
    Derived("user_brand_affinity", "Share of the brand touched most", FLOAT, user_brand_affinity,
            ("user_top_brand_touches_90d", "user_brand_touches_90d")),
    Derived("user_dwell_per_session_ms", "Time on products a session, ms", FLOAT, user_dwell_per_session_ms,
            ("user_dwell_ms_30d", "user_sessions_30d")),
    Derived("user_email_open_rate", "E-mails opened a mail sent", FLOAT, user_email_open_rate,
            ("user_emails_opened_90d", "user_emails_sent_90d")),
    Derived("user_preferred_hour", "UTC hour of most events", INT64, user_preferred_hour, ("user_top_hours_90d",)),
    _of_request("request_device", "Kind of device", "device"),
    _of_request("request_channel", "How the visit began", "channel"),
    _of_request("request_country", "Country as the shop names it", "country"),
    _of_request("request_promotion", "Campaign that is shown", "campaign"),
    Derived("request_hour", "UTC hour", INT64, request_hour),
    Derived("request_weekday", "Day of the week, 0 is Monday", INT64, request_weekday),
    Derived("request_season", "winter, spring, summer or autumn", STRING, request_season),
)  # fmt: skip
INPUTS = tuple(dict.fromkeys(name for one in DERIVED for name in one.inputs))
