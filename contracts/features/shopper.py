"""The shopper view: what the stream adds to the user row of the last cut, and what the shopper asked for."""

from __future__ import annotations

from contracts.features.declare import (
    DAY,
    NAMED_AT,
    STREAM_VERSION,
    ByDay,
    Feature,
    FeatureType,
    LastK,
    Max,
    Strand,
    Switched,
    View,
    listed,
    one,
)

DAYS = 8
"""A cut is published within a day of its end, and stays the newest one for days when a day is refused."""
SAID = 50
"""Settings of one scope that are remembered: the newest word on each item counts, whichever it is."""


def _said(name: str, what: str, action: str, scope: str) -> Feature:
    aggregate = Switched("preference_value", "preference_action", action, "reset", SAID)
    where = (("preference_scope", scope),)
    dtype = FeatureType.STRING_LIST
    return Feature(name, what, dtype, aggregate, ("preference_set",), where, default=None)


SHOPPER = View(
    name="shopper",
    scope="events of one shopper (user, else visitor) and one choice about consent, at most session_horizon late",
    strand=Strand.STREAM,
    join_keys=("shopper_id",),
    features=(
        listed("shopper_purchases_by_day", "Purchases a day", ByDay(DAYS), "purchase"),
        listed("shopper_spend_minor_by_day", "Value of the purchases a day, minor units", ByDay(DAYS, "value_minor"),
               "purchase"),
        listed("shopper_carts_by_day", "Additions to the cart a day", ByDay(DAYS), "add_to_cart"),
        listed("shopper_impressions_by_day", "Items shown in lists a day", ByDay(DAYS, "item_count"), "view_item_list"),
        listed("shopper_last_orders", f"Purchases, newest first: {NAMED_AT}", LastK("named_at", 10), "purchase"),
        listed("shopper_last_lists", f"Lists shown, newest first: {NAMED_AT}", LastK("named_at", 20), "view_item_list"),
        listed("shopper_emails_by_day", "E-mails sent a day, for frequency caps", ByDay(DAYS), "email_sent"),
        listed("shopper_pushes_by_day", "Push messages sent a day, for frequency caps", ByDay(DAYS), "push_sent"),
        _said("shopper_muted_items", "Items the shopper wants to see no more", "mute", "item"),
        _said("shopper_muted_categories", "Categories the shopper wants to see no more", "mute", "category"),
        _said("shopper_less_items", "Items of whose like the shopper wants to see less", "less", "item"),
        one("shopper_consent_at", "When the choice that the row was made under was made, µs", FeatureType.INT64,
            Max("consent_changed_at")),
        one("shopper_last_event_at", "Time of the newest event, µs", FeatureType.INT64, Max("event_time")),
    ),
    freshness_seconds=400 * DAY,
    purpose="personalization",
    version=STREAM_VERSION,
    table="gold_shopper_features",
)  # fmt: skip
