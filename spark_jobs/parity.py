"""Decisions against recomputed rows, pure: what the scorer read, and what the batch strand says it should have read.

A session or shopper row of version (newest_event_time, n) must be the aggregate of the first n events of its key in offset
order, as the stream takes them: granted, in time, each event_id once. A shopper's several devices have no common order:
`spark_jobs.interleaved`. A user row must be the row of its cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.consent import state_sql
from contracts.events import CONSENT_KEYS_SQL, shopper_sql
from contracts.feature_sql import spark_expression
from contracts.features import USER, View
from spark_jobs.item_rows import by_item
from spark_jobs.stream_rows import SPARK_TYPES, in_time, of_set

ROW = "ARRAY<STRUCT<view STRING, key MAP<STRING, STRING>, found BOOLEAN, version ARRAY<BIGINT>, features STRUCT<{}>>>"
OFFSET = ("source_partition", "source_offset")
MINUTE_MICROS = 60_000_000
DIFFERENCE_DDL = "decision_id STRING, same BOOLEAN, used STRING, expected STRING"
DIFFERENCE = pa.schema(
    [("decision_id", pa.string()), ("same", pa.bool_()), ("used", pa.string()), ("expected", pa.string())]
)


def used_rows(decisions: DataFrame, view: View) -> DataFrame:
    """`decision_id` and the stored columns of the view's row that each decision found, with its keys and version."""
    columns = ", ".join(f"{name} {SPARK_TYPES[dtype]}" for name, dtype in view.stored_columns)
    schema = f"STRUCT<rows {ROW.format(columns)}>"
    rows = decisions.select("decision_id", F.explode(F.from_json("decision", schema)["rows"]).alias("row"))
    found = rows.where((F.col("row.view") == view.name) & F.col("row.found"))
    keys = [F.col("row.key")[key].alias(key) for key in view.join_keys]
    version = [
        F.col("row.version")[n].alias(name) for n, name in enumerate(("version_first", "version_second"))
    ]
    return found.select("decision_id", *keys, *version, "row.features.*")


def stream_events(view: View, bronze: DataFrame, horizon: timedelta) -> DataFrame:
    """The events that a grouped stream view took, with its keys, numbered in each group by arrival (`nth`)."""
    once = first_of_each(bronze).withColumn("shopper_id", F.expr(shopper_sql()))
    taken = in_time(once, horizon).where(F.col(f"consent_{view.purpose}") == "granted")
    return taken.withColumn("nth", F.row_number().over(Window.partitionBy(*group_of(view)).orderBy(*OFFSET)))


def final_rows(view: View, bronze: DataFrame, horizon: timedelta) -> DataFrame:
    """The rows that a grouped stream view ends with, recomputed from all that came, by `group_of(view)`."""
    once = first_of_each(bronze)
    if view.purpose is None:
        keys = F.array(*map(F.expr, CONSENT_KEYS_SQL))
        states = once.withColumn("consent_state", F.expr(state_sql()))
        taken = states.withColumn("shopper_id", F.explode(keys)).where("shopper_id IS NOT NULL")
    else:
        keyed = once.withColumn("shopper_id", F.expr(shopper_sql()))
        taken = in_time(keyed, horizon).where(F.col(f"consent_{view.purpose}") == "granted")
    return of_set(view, taken, group_of(view))


def window_rows(view: View, bronze: DataFrame) -> DataFrame:
    """Item trends recomputed: `item_id`, `window_end`, the features and `events_seen`; events are in time for a window."""
    granted = first_of_each(bronze).where(F.col(f"consent_{view.purpose}") == "granted")
    size, slide = view.window_minutes * MINUTE_MICROS, view.slide_minutes * MINUTE_MICROS
    first = f"(event_time div {slide} + 1) * {slide}"
    ends = F.expr(f"sequence({first}, {first} + {size - slide}L, {slide}L)")
    windows = by_item(granted).withColumn("window_end", F.explode(ends))
    counted = (F.expr(spark_expression(feature)) for feature in view.features)
    rows = windows.groupBy("item_id", "window_end").agg(*counted, F.count("*").alias("events_seen"))
    return rows.where(F.col("events_seen") >= view.least_events)


def group_of(view: View) -> tuple[str, ...]:
    """The columns that make a view's rows."""
    return (*view.join_keys, *(("consent_changed_at",) if view.starts_empty else ()))


def first_of_each(bronze: DataFrame) -> DataFrame:
    """Each event_id of a device once: the first in offset order, as the stream takes it."""
    copies = Window.partitionBy("visitor_id", "event_id").orderBy(*OFFSET)
    return bronze.withColumn("copy", F.row_number().over(copies)).where("copy = 1").drop("copy")


def of_several_devices(view: View, events: DataFrame) -> DataFrame:
    """The groups whose events come from more than one device: these have no order in common."""
    devices = events.groupBy(*group_of(view)).agg(F.count_distinct("visitor_id").alias("devices"))
    return devices.where("devices > 1").drop("devices")


def expected_rows(view: View, used: DataFrame, events: DataFrame) -> DataFrame:
    """The stream rows that `used` names, recomputed from their first `events_seen` events.

    Args:
        events: `stream_events` of the view.
    """
    group = group_of(view)
    wanted = used.select(*group, "events_seen").distinct()
    prefix = wanted.join(events, list(group)).where("nth <= events_seen")
    return of_set(view, prefix.withColumnRenamed("events_seen", "wanted"), [*group, "wanted"]).drop("wanted")


def stream_differences(view: View, used: DataFrame, expected: DataFrame) -> DataFrame:
    """`DIFFERENCE_DDL`: whether a row that was used is what it should have been, and both as text."""
    columns = [*view.feature_names, "newest_event_time"]
    seen = used.withColumnRenamed("version_first", "newest_event_time")
    return _compared(seen, expected, (*group_of(view), "events_seen"), columns)


def user_differences(used: DataFrame, cuts: DataFrame) -> DataFrame:
    """The same for user rows, by the cut and publication in their version.

    Args:
        cuts: `gold_user_features`.
    """
    versioned = cuts.select(
        "user_id",
        F.unix_micros("event_timestamp").alias("version_first"),
        F.unix_micros("created_timestamp").alias("version_second"),
        *USER.feature_names,
    )
    return _compared(used, versioned, ("user_id", "version_first", "version_second"), USER.feature_names)


def _compared(used: DataFrame, expected: DataFrame, keys: Sequence[str], columns: Sequence[str]) -> DataFrame:
    """Rows side by side."""
    left = used.select("decision_id", *keys, F.struct(*columns).alias("used"))
    right = expected.select(*keys, F.struct(*columns).alias("expected"))
    joined = left.join(right, list(keys), "left")
    same = F.col("used").eqNullSafe(F.col("expected"))
    return joined.select(
        "decision_id",
        same.alias("same"),
        F.to_json("used").alias("used"),
        F.to_json("expected").alias("expected"),
    )
