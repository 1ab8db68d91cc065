"""Silver, pure: which rows of bronze are a cut's, once each, with identity and consent; the catalog's history.

An event belongs to the first cut that holds it (`contracts.cuts`): event_time < its end and received_time < its
publication. So every event has one `cut_on`, a late one joins the date of its event_time by the cut that published it,
and a cut never reads another cut's rows.
"""

from __future__ import annotations

from datetime import timedelta
from functools import reduce
from operator import and_

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS
from contracts.consent import state_sql
from contracts.events import shopper_sql
from contracts.tables import POSITION
from spark_jobs.bronze_rows import dated

LINK_DAYS = 30
"""A login links its device for so long, so that a day's run need not read all history."""
ARRIVAL = ("cut_on", "received_time", "source_partition", "source_offset")
EVENT_KEY = ("visitor_id", "event_id")
MARKER_COLUMNS = ("visitor_id", "user_id", "event_name", "event_time", *ARRIVAL)


def with_cut(events: DataFrame, publish_delay: timedelta) -> DataFrame:
    """Adds `event_on` and `cut_on`, the first cut that holds the event."""
    delay = int(publish_delay.total_seconds() * 1_000_000)
    received_for = dated(f"received_time - {delay}")
    return events.withColumn("event_on", F.expr(dated("event_time"))).withColumn(
        "cut_on", F.greatest(F.col("event_on"), F.expr(received_for))
    )


def once_each(events: DataFrame, known: DataFrame | None, late_horizon: timedelta) -> DataFrame:
    """The first of each device's event_id by (received_time, source_partition, source_offset), if it is not `known`.

    An id that was an older event's than `late_horizon` lets come is another event's now: a range of cuts keeps both, as its
    single days do. Adds what the gate asks of copies: `copies`, how many came, and `copies_differ`, whether in more than their receipt.
    """
    order = Window.partitionBy(*EVENT_KEY).orderBy(
        "received_time", "source_partition", "source_offset", "source"
    )
    whole = order.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    content = F.xxhash64(*(name for name in EVENT_COLUMNS if name != "received_time"))
    before = F.lag("event_on").over(order).alias("before")
    numbered = events.select("*", before, content.alias("content"))
    counted = numbered.select(
        "*",
        F.count("*").over(whole).alias("copies"),
        (F.min("content").over(whole) != F.max("content").over(whole)).alias("copies_differ"),
    )
    oldest = F.date_sub("cut_on", late_horizon.days + 1)
    first = counted.where(F.col("before").isNull() | (F.col("before") < oldest)).drop("before", "content")
    if known is None:
        return first
    held = known.select(*(F.col(key).alias(f"known_{key}") for key in (*EVENT_KEY, "event_on")))
    same = reduce(and_, (F.col(key) == F.col(f"known_{key}") for key in EVENT_KEY))
    return first.join(held, same & (F.col("known_event_on") >= oldest), "left_anti")


def with_identity(events: DataFrame, earlier: DataFrame | None, *carried: str) -> DataFrame:
    """Adds `shopper_id`, `consent_state` and `linked_user_id`: the event's user, else the one logged in on the device.

    The user logged in is that of the device's newest event with a user, in the order of arrival (a link holds from when
    it was known) and not after this event; a logout ends it, and so do `LINK_DAYS`.

    Args:
        earlier: silver rows of earlier cuts (`MARKER_COLUMNS`).
        carried: further columns of `events` that are kept.
    """
    own = events.withColumn("is_new", F.lit(True))
    rows = own if earlier is None else own.unionByName(_markers(earlier), allowMissingColumns=True)
    marker = "CASE WHEN event_name = 'logout' OR user_id IS NOT NULL THEN struct(event_time, event_name, user_id) END"
    device = Window.partitionBy("visitor_id").orderBy(*ARRIVAL).rowsBetween(Window.unboundedPreceding, -1)
    linked = rows.withColumn("marker", F.last(F.expr(marker), ignorenulls=True).over(device)).where("is_new")
    return linked.select(
        *EVENT_COLUMNS,
        F.expr(shopper_sql()).alias("shopper_id"),
        F.expr(f"coalesce(user_id, {_linked_user()})").alias("linked_user_id"),
        F.expr(state_sql()).alias("consent_state"),
        "event_on",
        "cut_on",
        *POSITION,
        *carried,
    )


def catalog_history(updates: DataFrame) -> DataFrame:
    """Each item's updates once per effective_time (the last one sent), with `effective_on`."""
    order = Window.partitionBy("item_id", "effective_time").orderBy(
        F.desc("source"), F.desc("source_partition"), F.desc("source_offset")
    )
    last = updates.withColumn("copy", F.row_number().over(order)).where("copy = 1")
    return last.select(*CATALOG_COLUMNS, F.expr(dated("effective_time")).alias("effective_on"))


def items_of(catalog: DataFrame) -> DataFrame:
    """Each item once: its newest update's time, price and currency, and `first_on`, first price and currency."""
    return catalog.groupBy("item_id").agg(
        F.max("effective_time").alias("effective_time"),
        F.max_by("price_minor", "effective_time").alias("price_minor"),
        F.max_by("currency", "effective_time").alias("currency"),
        F.min("effective_on").alias("first_on"),
        F.min_by("price_minor", "effective_time").alias("first_price_minor"),
        F.min_by("currency", "effective_time").alias("first_currency"),
    )


def with_previous(history: DataFrame, items: DataFrame | None) -> DataFrame:
    """Adds `previous_price_minor` and `previous_currency`: the item's before this update; null when none is known.

    Args:
        items: `items_of` the updates before.
    """
    order = Window.partitionBy("item_id").orderBy("effective_time")
    rows = history.withColumn("is_new", F.lit(True))
    if items is not None:
        newest = items.select("item_id", "effective_time", "price_minor", "currency")
        rows = rows.unionByName(newest, allowMissingColumns=True)
    return rows.select(
        "*",
        F.lag("price_minor").over(order).alias("previous_price_minor"),
        F.lag("currency").over(order).alias("previous_currency"),
    ).where("is_new")


def _markers(silver: DataFrame) -> DataFrame:
    return silver.select(*MARKER_COLUMNS).where("event_name = 'logout' OR user_id IS NOT NULL")


def _linked_user() -> str:
    """SQL: the marker's user, while it holds."""
    holds = (
        f"marker.event_time <= event_time AND event_time - marker.event_time < {LINK_DAYS * 86_400_000_000}"
    )
    return f"CASE WHEN marker.event_name <> 'logout' AND {holds} THEN marker.user_id END"
