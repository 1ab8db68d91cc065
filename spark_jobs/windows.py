"""Features over trailing days, for many cuts at once, pure: a day's events aggregate once, days merge at each cut.

Cuts end at midnight UTC, so a window of trailing days is a set of whole days, and each declared aggregate of it is the
merge of the days' aggregates: counts and sums add, extremes compare, and the last k of a window are among the last k
of its days. tests/spark_jobs holds the merge against the declared expression of `contracts.feature_sql`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.feature_sql import Engine, condition, expression
from contracts.features import Count, Feature, LastK, Max, Min, Sum

SEEN = ("event_on", "cut_on", "valid_from", "valid_to")


def at_cuts(
    events: DataFrame, entity: str, features: Sequence[Feature], first: date, last: date
) -> DataFrame:
    """`entity`, the features and `cut_on`, for every cut from `first` to `last` that knows an event of the entity.

    Args:
        events: usable events with `event_on`, `cut_on` (the first cut that holds the event), and the cuts `valid_from` to
            `valid_to` in which it may be used.
    """
    days = events.groupBy(entity, *SEEN).agg(*(F.expr(_of_day(feature, first)) for feature in features))
    cuts = F.sequence(
        F.greatest(F.col("cut_on"), F.col("valid_from"), F.lit(first)),
        F.least(F.col("valid_to"), F.lit(last)),
    )
    known = days.where(f"greatest(cut_on, valid_from, DATE'{first}') <= least(valid_to, DATE'{last}')")
    seen = known.withColumn("cut_on", F.explode(cuts))
    return seen.groupBy(entity, "cut_on").agg(*(F.expr(_of_window(feature)) for feature in features))


def _of_day(feature: Feature, first: date) -> str:
    """The declared aggregate of a day; the last k keep what orders them, and no day that no window reaches."""
    whole = replace(feature, days=0)
    if not isinstance(feature.aggregate, LastK):
        return expression(whole, Engine.SPARK)
    column, k = feature.aggregate.column, feature.aggregate.k
    only = condition(whole, None)
    if feature.days:
        only += f" AND event_on > DATE'{first - timedelta(days=feature.days)}'"
    rows = f"collect_list(struct(event_time, event_id, {column} AS value)) FILTER (WHERE {only})"
    return f"slice(sort_array({rows}, false), 1, {k}) AS {feature.name}"


def _of_window(feature: Feature) -> str:
    """The merge of the days inside the feature's window."""
    name = feature.name
    only = f" FILTER (WHERE event_on > date_sub(cut_on, {feature.days}))" if feature.days else ""
    match feature.aggregate:
        case Count() | Sum():
            return f"COALESCE(SUM({name}){only}, 0) AS {name}"
        case Min():
            return f"MIN({name}){only} AS {name}"
        case Max():
            return f"MAX({name}){only} AS {name}"
        case LastK(_, k):
            rows = f"sort_array(flatten(collect_list({name}){only}), false)"
            return f"transform(slice({rows}, 1, {k}), row -> row.value) AS {name}"
        case other:
            raise ValueError(f"{name} is {other}, not an aggregate of events")
