"""The item view at each cut (a table of the lake), and item trends (event-time windows)."""

from __future__ import annotations

from contracts.features.declare import (
    BATCH_VERSION,
    DAY,
    WINDOW_VERSION,
    Aggregate,
    Count,
    CoVisited,
    DistinctCount,
    Feature,
    FeatureType,
    Max,
    Min,
    Source,
    Strand,
    View,
    count,
    listed,
    number,
    one,
)

INT64 = FeatureType.INT64


def _price(name: str, what: str, aggregate: Aggregate, default: int | None) -> Feature:
    return Feature(name, what, INT64, aggregate, days=30, default=default, source=Source.CATALOG)


ITEM = View(
    name="item",
    scope="events that name the item and are usable for analytics at the cut, and the item's catalog updates",
    strand=Strand.BATCH,
    join_keys=("item_id",),
    features=(
        count("item_views_7d", "product views in 7 days", "view_item", days=7),
        count("item_views_30d", "product views in 30 days", "view_item", days=30),
        count("item_impressions_30d", "lists in 30 days that showed it", "view_item_list", days=30),
        count("item_carts_7d", "additions to the cart in 7 days", "add_to_cart", days=7),
        count("item_carts_30d", "additions to the cart in 30 days", "add_to_cart", days=30),
        count("item_purchases_7d", "purchases in 7 days", "purchase", days=7),
        count("item_purchases_30d", "purchases in 30 days", "purchase", days=30),
        count("item_refunds_90d", "refunds in 90 days", "refund", days=90),
        number("item_visitors_7d", "Different devices in 7 days", DistinctCount("visitor_id"), days=7),
        one("item_first_seen_at", "Time of the first event, µs", INT64, Min("event_time")),
        listed("item_covisited_7d", "Items met in most of its sessions of 7 days", CoVisited(10, 20),
               "view_item", "select_item", "add_to_cart", days=7),
        _price("item_price_min_minor_30d", "Lowest price set in 30 days, minor units", Min("price_minor"), None),
        _price("item_price_max_minor_30d", "Highest price set in 30 days, minor units", Max("price_minor"), None),
        _price("item_price_updates_30d", "Catalog updates in 30 days", Count(), 0),
    ),
    freshness_seconds=7 * DAY,
    purpose="analytics",
    version=BATCH_VERSION,
    table="gold_item_features",
    source=Source.ITEMS,
)  # fmt: skip


TREND_EVENTS = 5
"""`least_events` of the trends. Fewer say nothing of a trend, and of a large shop's items most have fewer: all their rows would be written at
one moment."""


def _trends(minutes: int, slide: int, name: str) -> View:
    def trend(what: str, text: str, *events: str) -> Feature:
        return count(f"item_trend_{what}_{name}", f"{text} in the window", *events)

    return View(
        name=f"item_trends_{name}",
        scope=f"events that name the item and grant analytics, in event-time windows of {minutes} minutes, one "
        f"every {slide}, that saw at least {TREND_EVENTS}; an item without a row of the last two windows counts as 0",
        strand=Strand.STREAM,
        join_keys=("item_id",),
        features=(
            trend("views", "product views", "view_item"),
            trend("carts", "additions to the cart", "add_to_cart"),
            trend("purchases", "purchases", "purchase"),
        ),
        freshness_seconds=3 * slide * 60,
        purpose="analytics",
        version=WINDOW_VERSION,
        table="gold_item_trends",
        source=Source.ITEMS,
        window_minutes=minutes,
        slide_minutes=slide,
        least_events=TREND_EVENTS,
    )


# Each event lies in ten windows of the one and in twelve of the other: of an hour that slid by a minute it would in sixty.
ITEM_TRENDS = (_trends(10, 1, "10m"), _trends(60, 5, "1h"))
