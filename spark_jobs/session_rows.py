"""The session view after each event, pure: what the stream strand held once this event had arrived.

Events of one session and one consent choice, in the order of arrival (cut, received_time, partition, offset); each row
aggregates all that had arrived, so a late event changes the rows after it and none before, and a cut's rows never depend
on a later cut. As in the stream, an event later than `session_horizon` is left out. A session is followed over
`LOOK_BACK_DAYS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.feature_sql import condition
from contracts.features import SESSION, Count, Feature, LastK, Max, Min, Sum
from spark_jobs.silver_rows import ARRIVAL

LOOK_BACK_DAYS = 3
"""Session horizon and publish delay, in whole days: an older event of the session no longer stands in the stream's state."""
GROUP = ("visitor_id", "session_id", "consent_changed_at")
OVER = "OVER arrived"


def in_time(events: DataFrame, horizon: timedelta) -> DataFrame:
    """The events that the stream's session view takes."""
    return events.where(f"received_time - event_time <= {int(horizon.total_seconds() * 1_000_000)}")


def session_features(usable: DataFrame, max_events: int) -> DataFrame:
    """A row after each of the first `max_events` events; a longer session is a bot's and teaches nothing more.

    Args:
        usable: in-time events that may be used for personalization, of all cuts that a session can reach back to.
    """
    in_order = Window.partitionBy(*GROUP).orderBy(*ARRIVAL)
    arrived = in_order.rowsBetween(Window.unboundedPreceding, 0)
    kept = usable.where("cut_on BETWEEN valid_from AND valid_to")
    bounded = kept.withColumn("events_seen", F.row_number().over(in_order).cast("bigint"))
    raw = bounded.where(F.col("events_seen") <= max_events).select(
        "*", *(_so_far(f).over(arrived).alias(f"_{f.name}") for f in SESSION.features)
    )
    return raw.select(
        "event_id",
        "visitor_id",
        "session_id",
        *(_finished(feature) for feature in SESSION.features),
        "events_seen",
        "consent_changed_at",
        F.timestamp_micros("event_time").alias("event_timestamp"),
        F.timestamp_micros("received_time").alias("created_timestamp"),
        "event_on",
        "cut_on",
    )


def session_at(events: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The session view of all rows of each group: the declared expressions."""
    from contracts.feature_sql import Engine, expression

    return events.groupBy(*keys).agg(
        *(F.expr(expression(feature, Engine.SPARK)) for feature in SESSION.features),
        F.count("*").alias("events_seen"),
        F.max("event_time").alias("newest_event_time"),
    )


def _so_far(feature: Feature):  # type: ignore[no-untyped-def]
    """The aggregate as a window function; Spark knows no FILTER there, so other events become null."""
    only = condition(feature, None) or "TRUE"
    match feature.aggregate:
        case Count():
            return F.count(F.expr(f"CASE WHEN {only} THEN 1 END"))
        case Sum(column):
            return F.sum(F.expr(f"CASE WHEN {only} THEN {column} END"))
        case Min(column):
            return F.min(F.expr(f"CASE WHEN {only} THEN {column} END"))
        case Max(column):
            return F.max(F.expr(f"CASE WHEN {only} THEN {column} END"))
        case LastK(column, _):
            return F.collect_list(
                F.expr(f"CASE WHEN {only} THEN struct(event_time, event_id, {column} AS value) END")
            )
        case other:
            raise ValueError(f"{feature.name} is {other}, not an aggregate of events")


def _finished(feature: Feature):  # type: ignore[no-untyped-def]
    match feature.aggregate:
        case LastK(_, k):
            rows = f"slice(sort_array(_{feature.name}, false), 1, {k})"
            return F.expr(f"transform({rows}, row -> row.value) AS {feature.name}")
        case Sum():
            return F.expr(f"coalesce(_{feature.name}, 0) AS {feature.name}")
        case _:
            return F.col(f"_{feature.name}").alias(feature.name)
