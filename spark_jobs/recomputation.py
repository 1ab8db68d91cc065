"""Recomputation, pure: the rows that decisions used, against the same rows made again from Delta.

A session row with events_seen = n is made of the first n events of its key in offset order, as Flink saw them;
a user row is the user's row of its cut.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.feature_sql import Engine, expression
from contracts.features import SESSION, USER, FeatureType, View

SPARK_TYPES = {
    FeatureType.INT64: "BIGINT",
    FeatureType.STRING: "STRING",
    FeatureType.STRING_LIST: "ARRAY<STRING>",
}
DECISION_DDL = (
    "decision_id STRING, `rows` ARRAY<STRUCT<view: STRING, key: MAP<STRING, STRING>, found: BOOLEAN, "
    "version: ARRAY<BIGINT>, features: STRING>>"
)
SESSION_KEY = ("visitor_id", "session_id", "consent_changed_at")


def used_rows(decisions: DataFrame, view: View) -> DataFrame:
    """The distinct rows of a view that decisions used: join keys, version parts, the view's columns.

    Args:
        decisions: `decision` as JSON text.
    """
    row = F.explode(F.from_json("decision", DECISION_DDL)["rows"])
    used = decisions.select(row.alias("row")).where(f"row.view = '{view.name}' AND row.found")
    ddl = ", ".join(f"`{name}` {SPARK_TYPES[kind]}" for name, kind in view.stored_columns)
    keys = [F.col("row.key")[name].alias(name) for name in view.join_keys]
    version = [F.col("row.version")[part].alias(f"version_{part}") for part in (0, 1)]
    columns = used.select(*keys, *version, F.from_json("row.features", ddl).alias("f"))
    return columns.select(*view.join_keys, "version_0", "version_1", "f.*").distinct()


def stream_events(bronze: DataFrame, session_horizon: timedelta) -> DataFrame:
    """What the session view is made of: events once each by offset, granted, within the horizon, numbered `seen`."""
    by_offset = Window.partitionBy("visitor_id", "event_id").orderBy("source_partition", "source_offset")
    once = bronze.where("source LIKE 'kafka:%'").withColumn("copy", F.row_number().over(by_offset))
    horizon = int(session_horizon.total_seconds() * 1_000_000)
    usable = f"copy = 1 AND consent_personalization = 'granted' AND received_time - event_time <= {horizon}"
    in_order = Window.partitionBy(*SESSION_KEY).orderBy("source_partition", "source_offset")
    return once.where(usable).withColumn("seen", F.row_number().over(in_order))


def session_rows(used: DataFrame, events: DataFrame) -> DataFrame:
    """The used session rows made again from the first `events_seen` events of their key."""
    wanted = used.select(*SESSION_KEY, "events_seen").distinct()
    first = wanted.join(events, on=list(SESSION_KEY), how="inner").where("seen <= events_seen")
    features = [F.expr(expression(feature, Engine.SPARK)) for feature in SESSION.features]
    versions = [F.max("event_time").alias("version_0"), F.count("*").alias("version_1")]
    return first.groupBy(*SESSION_KEY, "events_seen").agg(*versions, *features)


def user_rows(gold: DataFrame) -> DataFrame:
    """The user rows of every cut, with their version parts."""
    return gold.select(
        *USER.join_keys,
        F.expr("unix_micros(event_timestamp)").alias("version_0"),
        F.expr("unix_micros(created_timestamp)").alias("version_1"),
        *USER.feature_names,
    )


def differences(used: DataFrame, again: DataFrame, view: View, keys: tuple[str, ...]) -> DataFrame:
    """The used rows without an equal row among those made again; an empty list equals none."""
    values = [*(name for name in ("version_0", "version_1") if name not in keys), *view.feature_names]
    lists = {feature.name for feature in view.features if feature.dtype is FeatureType.STRING_LIST}

    def plain(frame: DataFrame) -> DataFrame:
        shown = [F.expr(f"filter({v}, x -> true)") if v in lists else F.col(v) for v in values]
        as_text = [F.coalesce(F.to_json(F.struct(s.alias("v"))), F.lit("{}")) for s in shown]
        normal = [
            F.when(text == '{"v":[]}', "{}").otherwise(text).alias(v)
            for text, v in zip(as_text, values, strict=True)
        ]
        return frame.select(*keys, F.to_json(F.struct(*normal)).alias("values"))

    left = plain(used).withColumnRenamed("values", "used")
    right = plain(again).withColumnRenamed("values", "again")
    return left.join(right, on=list(keys), how="left").where("NOT (used <=> again)")
