"""Features over trailing days, for many cuts at once, pure: a day's events aggregate once, days merge at each cut.

Cuts end at midnight UTC, so a window of trailing days is a set of whole days, and each declared aggregate of it is the
merge of the days' aggregates (`contracts.feature_sql.SparkParts`): counts and sums add, extremes compare, and the last k
of a window are among the last k of its days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.feature_sql import spark_parts
from contracts.features import Feature

SEEN = ("event_on", "cut_on", "valid_from", "valid_to")


def at_cuts(
    events: DataFrame, entity: str, features: Sequence[Feature], first: date, last: date
) -> DataFrame:
    """`entity`, the features and `cut_on`, for every cut from `first` to `last` that knows an event of the entity.

    Args:
        events: usable events with `event_on`, `cut_on` (the first cut that holds the event), and the cuts `valid_from` to
            `valid_to` in which it may be used.
    """
    # An entity's events come together once; its days and its windows are then made where they stand.
    placed = events.repartition(entity)
    days = placed.groupBy(entity, *SEEN).agg(*(F.expr(_of_day(feature, first)) for feature in features))
    cuts = F.sequence(
        F.greatest(F.col("cut_on"), F.col("valid_from"), F.lit(first)),
        F.least(F.col("valid_to"), F.lit(last)),
    )
    known = days.where(f"greatest(cut_on, valid_from, DATE'{first}') <= least(valid_to, DATE'{last}')")
    seen = known.withColumn("cut_on", F.explode(cuts))
    windows = seen.groupBy(entity, "cut_on").agg(*(F.expr(_of_window(feature)) for feature in features))
    return windows.select(entity, "cut_on", *(F.expr(_finished(feature)) for feature in features))


def _of_day(feature: Feature, first: date) -> str:
    """The part of a day; nothing of a day that no window of the cuts reaches."""
    reach = to_micros(Cut(first).end)
    return f"{spark_parts(feature, feature.name, reach).collect} AS {feature.name}"


def _of_window(feature: Feature) -> str:
    """The merge of the days inside the feature's window."""
    inside = f"CASE WHEN event_on > date_sub(cut_on, {feature.days}) THEN {feature.name} END"
    part = spark_parts(feature, inside if feature.days else feature.name, 0)
    return f"{part.merge} AS {feature.name}"


def _finished(feature: Feature) -> str:
    return f"{spark_parts(feature, feature.name, 0).finish} AS {feature.name}"
