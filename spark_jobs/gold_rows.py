"""Gold, pure: the tables of a cut from silver's events and the catalog's history."""

from __future__ import annotations

from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.features import ITEM, USER, Computed
from spark_jobs import item_rows
from spark_jobs.windows import at_cuts

CATALOG_STATE = (
    "title",
    "category",
    "brand",
    "price_minor",
    "currency",
    "availability",
    "ships_in_days",
    "campaign",
    "offered_at",
)
STAMPS = ("cut_on", "event_timestamp", "created_timestamp")
CONTEXT = ("context_device", "context_channel", "context_country", "context_campaign")


def user_features(usable: DataFrame, first: date, last: date, delay: timedelta) -> DataFrame:
    """The user view at each cut, from events usable for personalization."""
    known = (
        usable.where("linked_user_id IS NOT NULL")
        .drop("user_id")
        .withColumnRenamed("linked_user_id", "user_id")
    )
    counted = tuple(feature for feature in USER.features if not isinstance(feature.aggregate, Computed))
    rows = stamped(at_cuts(known, "user_id", counted, first, last), delay)
    ended = rows.withColumn("user_cut_end_at", F.unix_micros("event_timestamp"))
    return ended.select("user_id", *USER.feature_names, *STAMPS)


def item_features(
    usable: DataFrame, history: DataFrame, first: date, last: date, delay: timedelta
) -> DataFrame:
    """Each item's features and newest catalog state at each cut; an item may lack either.

    Args:
        usable: events usable for analytics, with `items`.
        history: `silver_catalog`.
    """
    counted = item_rows.features_at_cuts(usable, history, first, last)
    joined = counted.join(_catalog_at_cuts(history, first, last), ["item_id", "cut_on"], "full_outer")
    zeros = [feature.name for feature in ITEM.features if feature.default == 0]
    rows = stamped(joined.fillna(0, zeros), delay)
    return rows.select("item_id", *ITEM.feature_names, *CATALOG_STATE, *STAMPS)


def consent(times: DataFrame, first: date, last: date, delay: timedelta) -> DataFrame:
    """Each shopper's newest choice at each cut, and where it was last seen."""
    rows = stamped(_each_cut(times, first, last), delay)
    places = (F.col(f"newest.{key}").alias(f"consent_{key}") for key in ("visitor_id", "session_id"))
    withdrawn = F.col("withdrawn_at").alias("consent_withdrawn_at")
    return rows.select("shopper_id", "consent_state", withdrawn, *places, "events_seen", *STAMPS)


def label_rows(usable: DataFrame, withdrawals: DataFrame) -> DataFrame:
    """Each added item of a shopper with `personalization`, 1 µs before it was added.

    The keys are those that a request has at that moment: the user only if the event itself names one. The linked user is
    there to be asked for consent when examples are made. `withdrawn_at` is what the reader would have known at that moment of
    the device's and the user's withdrawals: when the newest one was made.

    Args:
        withdrawals: `consent_times.withdrawals`.
    """
    added = usable.where("event_name = 'add_to_cart' AND cut_on BETWEEN valid_from AND valid_to")
    for key, shopper in (
        ("of_device", "CONCAT('visitor:', visitor_id)"),
        ("of_user", "CONCAT('user:', user_id)"),
    ):
        own = withdrawals.select(F.col("shopper_id").alias(f"{key}_id"), F.col("withdrawals").alias(key))
        added = added.join(own, F.expr(shopper) == F.col(f"{key}_id"), "left")
    return added.select(
        "event_id",
        "user_id",
        "linked_user_id",
        "shopper_id",
        "visitor_id",
        "session_id",
        F.expr(f"GREATEST({_newest_known('of_device')}, {_newest_known('of_user')})").alias("withdrawn_at"),
        *CONTEXT,
        F.col("item_id").alias("label_item_id"),
        F.timestamp_micros(F.col("event_time") - 1).alias("event_timestamp"),
        "event_on",
        "cut_on",
    )


def _newest_known(withdrawals: str) -> str:
    """SQL: when the newest withdrawal that was received before the event was made; NULL for none."""
    known = f"filter({withdrawals}, one -> one.received_time < event_time)"
    return f"array_max(transform({known}, one -> one.withdrawn_at))"


def stamped(rows: DataFrame, delay: timedelta) -> DataFrame:
    """Adds the row version of a batch row: the cut's end and its first publication."""
    end: Column = F.date_add("cut_on", 1).cast("timestamp")
    published = end + F.expr(f"INTERVAL {int(delay.total_seconds())} SECOND")
    return rows.withColumn("event_timestamp", end).withColumn("created_timestamp", published)


def _catalog_at_cuts(history: DataFrame, first: date, last: date) -> DataFrame:
    """The newest state of each item at each cut."""
    offered = history.withColumn("offered_at", F.col("effective_time"))
    newest = offered.groupBy("item_id", "effective_on").agg(
        F.max_by(F.struct(*CATALOG_STATE), "effective_time").alias("state")
    )
    following = F.lead("effective_on").over(Window.partitionBy("item_id").orderBy("effective_on"))
    times = newest.select(
        "item_id",
        "state.*",
        F.col("effective_on").alias("valid_from"),
        F.coalesce(F.date_sub(following, 1), F.lit(last)).alias("valid_to"),
    )
    return _each_cut(times, first, last).select("item_id", "cut_on", *CATALOG_STATE)


def _each_cut(times: DataFrame, first: date, last: date) -> DataFrame:
    """Rows valid from cut to cut → one row for each cut from `first` to `last`."""
    begin, end = F.greatest("valid_from", F.lit(first)), F.least("valid_to", F.lit(last))
    return times.where(begin <= end).withColumn("cut_on", F.explode(F.sequence(begin, end)))
