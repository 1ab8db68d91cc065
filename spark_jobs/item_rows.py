"""The item view at each cut, pure: events by the items they name, catalog updates, and items met together."""

from __future__ import annotations

from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.features import ITEM, CoVisited, Feature, Source
from spark_jobs.windows import at_cuts

SESSION = ("visitor_id", "session_id")
COUNTED = tuple(
    f for f in ITEM.features if f.source is Source.EVENTS and not isinstance(f.aggregate, CoVisited)
)
PRICED = tuple(feature for feature in ITEM.features if feature.source is Source.CATALOG)
COVISITED = tuple(feature for feature in ITEM.features if isinstance(feature.aggregate, CoVisited))
CATALOG_DAYS = ("item_id", "effective_on")


def by_item(events: DataFrame) -> DataFrame:
    """Each event once for every different item that it names, as `item_id`."""
    ids = F.array_distinct(F.transform("items", lambda item: item["item_id"]))
    return events.drop("item_id").withColumn("item_id", F.explode(ids)).drop("items")


def features_at_cuts(usable: DataFrame, history: DataFrame, first: date, last: date) -> DataFrame:
    """`item_id`, `cut_on` and the item features; an item may have events or catalog updates alone.

    Args:
        usable: events usable for analytics, with `items`.
        history: `silver_catalog`.
    """
    rows = at_cuts(by_item(usable), "item_id", COUNTED, first, last)
    for more in (_prices(history, first, last), *(_together(usable, f, first, last) for f in COVISITED)):
        rows = rows.join(more, ["item_id", "cut_on"], "full_outer")
    zeros = [feature.name for feature in ITEM.features if feature.default == 0]
    return rows.fillna(0, zeros)


def _prices(history: DataFrame, first: date, last: date) -> DataFrame:
    """An update is known from the cut of its date on."""
    dated = history.select(
        "item_id",
        "price_minor",
        "effective_time",
        F.lit("").alias("event_name"),
        F.col("effective_on").alias("event_on"),
        F.col("effective_on").alias("cut_on"),
        F.col("effective_on").alias("valid_from"),
        F.lit(date(9999, 12, 31)).alias("valid_to"),
    )
    return at_cuts(dated, "item_id", PRICED, first, last)


def _together(usable: DataFrame, feature: Feature, first: date, last: date) -> DataFrame:
    """The items that stood in most of the item's sessions: sessions are counted once for each pair and cut.

    A session counts for a cut with its newest `per_session` items, by (event_time, event_id), of the events in the window.
    """
    covisited = feature.aggregate
    assert isinstance(covisited, CoVisited)
    reach = usable.where(F.col("event_name").isin(*feature.events) & F.col("item_id").isNotNull())
    begin = F.greatest("cut_on", "valid_from", F.lit(first))
    end = F.least("valid_to", F.date_add("event_on", feature.days - 1), F.lit(last))
    windows = reach.where(begin <= end).withColumn("cut_on", F.explode(F.sequence(begin, end)))
    newest = windows.groupBy(*SESSION, "cut_on", "item_id").agg(
        F.max(F.struct("event_time", "event_id")).alias("place")
    )
    latest = Window.partitionBy(*SESSION, "cut_on").orderBy(F.desc("place"), "item_id")
    kept = newest.withColumn("n", F.row_number().over(latest)).where(F.col("n") <= covisited.per_session)
    sessions = kept.groupBy(*SESSION, "cut_on").agg(F.collect_list("item_id").alias("met"))
    one = sessions.select("cut_on", F.explode("met").alias("item_id"), "met")
    pairs = one.select("cut_on", "item_id", F.explode("met").alias("other")).where("item_id <> other")
    counted = pairs.groupBy("cut_on", "item_id", "other").count()
    best = Window.partitionBy("cut_on", "item_id").orderBy(F.desc("count"), "other")
    top = counted.withColumn("n", F.row_number().over(best)).where(F.col("n") <= covisited.k)
    listed = top.groupBy("item_id", "cut_on").agg(
        F.sort_array(F.collect_list(F.struct("n", "other"))).alias("l")
    )
    return listed.select("item_id", "cut_on", F.transform("l", lambda row: row["other"]).alias(feature.name))
