"""Columns that only the gate reads, pure: what the catalog knew of an event's item, twins, and devices beyond measure."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.expectations.narrow import MOST_USERS, ORDER
from spark_jobs.silver_rows import items_of

COPIES = ("copies", "copies_differ")
"""What `silver_rows.once_each` adds for the gate."""
SAME = ("visitor_id", "session_id", "event_name", "event_time", "item_id", "value_minor")
"""Two events that agree in these are one, whatever their ids say."""
SAME_ORDER = ("visitor_id", "session_id", "event_name", "item_id", "value_minor", "item_count", "cut_on")
"""Two orders of a session that agree in these are one."""


def known_items(catalog: DataFrame, earlier: DataFrame | None) -> DataFrame:
    """Each item that the catalog names: `first_on`, `first_price_minor`, `first_currency`.

    Args:
        catalog: the cuts' updates; `earlier`: `items_of` the updates before.
    """
    firsts = ("item_id", "first_on", "first_price_minor", "first_currency")
    found = items_of(catalog).select(*firsts)
    if earlier is None:
        return found
    rest = found.join(earlier.select("item_id"), "item_id", "left_anti")
    return earlier.select(*firsts).unionByName(rest)


def with_checks(events: DataFrame, items: DataFrame, most: int) -> DataFrame:
    """Adds `item_known` (by the event's cut), the item's first price and currency, `is_twin`, `is_bot`,
    `is_shared` (a device of many users) and `is_order_again`.

    Args:
        most: a device with more events in a cut is a bot.
    """
    named = items.withColumnRenamed("item_id", "named")
    known = events.join(
        F.broadcast(named),
        (F.col("item_id") == F.col("named")) & (F.col("first_on") <= F.col("cut_on")),
        "left",
    )
    # Identity is made by device: both windows find its rows together, and only sort them.
    same = Window.partitionBy(*SAME).orderBy("event_id")
    device = Window.partitionBy("visitor_id", "cut_on")
    order = Window.partitionBy(*SAME_ORDER).orderBy("event_time", "event_id")
    return known.select(
        *events.columns,
        F.col("named").isNotNull().alias("item_known"),
        "first_price_minor",
        "first_currency",
        (F.row_number().over(same) > 1).alias("is_twin"),
        (F.count("*").over(device) > most).alias("is_bot"),
        (F.approx_count_distinct("user_id").over(device) > MOST_USERS).alias("is_shared"),
        (F.expr(ORDER) & (F.row_number().over(order) > 1)).alias("is_order_again"),
    )
