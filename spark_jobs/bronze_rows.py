"""Bronze, pure: records as they came → rows with their position; what cannot be used → rejected rows."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS, spark_catalog_ddl, spark_event_ddl
from contracts.tables import POSITION

REJECTION_DDL = "reason STRING, original STRING, rejected_at STRING"
TOO_LATE = "too_late"
MALFORMED = "not in the flat form"


def dated(column: str) -> str:
    """SQL: the UTC date of a column of microseconds."""
    return f"CAST(timestamp_micros({column}) AS DATE)"


def from_kafka(records: DataFrame, topic: str) -> DataFrame:
    """The records of one topic: position, and `value` as text; tombstones are left out."""
    return records.where((F.col("topic") == topic) & F.col("value").isNotNull()).selectExpr(
        "concat('kafka:', topic) AS source",
        "`partition` AS source_partition",
        "offset AS source_offset",
        "CAST(value AS STRING) AS value",
    )


def from_day_files(lines: DataFrame, source: str) -> DataFrame:
    """The lines of day files: position (date as yyyymmdd, line number from 1), `value`.

    Args:
        lines: `value` with the file's metadata, as Spark reads text; the lines of a gzip file are one split, so ids
            that grow along a partition are in their order.
    """
    in_file = Window.partitionBy("file").orderBy("place")
    named = lines.select(
        "value",
        F.expr("_metadata.file_name").alias("file"),
        F.monotonically_increasing_id().alias("place"),
    )
    return named.withColumn("source_offset", F.row_number().over(in_file).cast("bigint")).selectExpr(
        f"'{source}' AS source",
        "CAST(replace(substring(file, 1, 10), '-', '') AS INT) AS source_partition",
        "source_offset",
        "value",
    )


def parse_events(records: DataFrame) -> DataFrame:
    """`value` → the flat columns, with position, `received_on` and the text itself; all null where it cannot be read."""
    parsed = records.select(*POSITION, "value", F.from_json("value", spark_event_ddl()).alias("event"))
    return parsed.select("event.*", *POSITION, "value").withColumn(
        "received_on", F.expr(dated("received_time"))
    )


def parse_catalog(records: DataFrame) -> DataFrame:
    """`value` → the catalog columns, with position, `received_on` (of effective_time) and the text itself."""
    parsed = records.select(*POSITION, "value", F.from_json("value", spark_catalog_ddl()).alias("update"))
    return parsed.select("update.*", *POSITION, "value").withColumn(
        "received_on", F.expr(dated("effective_time"))
    )


def event_rows(parsed: DataFrame, late_horizon: timedelta) -> DataFrame:
    """The events that are in time."""
    kept = parsed.where(f"event_id IS NOT NULL AND received_on IS NOT NULL AND NOT ({_late(late_horizon)})")
    return kept.select(*EVENT_COLUMNS, *POSITION, "received_on")


def catalog_rows(parsed: DataFrame) -> DataFrame:
    """The updates that could be read."""
    kept = parsed.where("item_id IS NOT NULL AND received_on IS NOT NULL")
    return kept.select(*CATALOG_COLUMNS, *POSITION, "received_on")


def refused_events(parsed: DataFrame, late_horizon: timedelta) -> DataFrame:
    """Events that cannot be read or are older than `late_horizon` when received, as rejected rows."""
    broken = "event_id IS NULL OR received_on IS NULL"
    reason = F.when(F.expr(broken), MALFORMED).otherwise(TOO_LATE)
    refused = parsed.where(f"{broken} OR ({_late(late_horizon)})")
    position = (F.expr("concat(source, '/events')").alias("source"), *POSITION[1:])
    return refused.select(*position, reason.alias("reason"), F.col("value").alias("original"), "received_on")


def refused_catalog(parsed: DataFrame) -> DataFrame:
    """Updates that cannot be read, as rejected rows."""
    refused = parsed.where("item_id IS NULL OR received_on IS NULL")
    position = (F.expr("concat(source, '/catalog')").alias("source"), *POSITION[1:])
    return refused.select(
        *position, F.lit(MALFORMED).alias("reason"), F.col("value").alias("original"), "received_on"
    )


def rejected_rows(records: DataFrame) -> DataFrame:
    """The door's rejections: reason, the record's own bytes (base64) and its day.

    A day file is its own day; a rejection of the topic is dated when it was rejected.
    """
    parsed = records.select(*POSITION, F.from_json("value", REJECTION_DDL).alias("refusal"))
    day = F.expr(
        "CASE WHEN source LIKE 'days:%' THEN to_date(CAST(source_partition AS STRING), 'yyyyMMdd') "
        "ELSE CAST(substring(refusal.rejected_at, 1, 10) AS DATE) END"
    )
    return parsed.select(*POSITION, "refusal.reason", "refusal.original", day.alias("received_on"))


def _late(horizon: timedelta) -> str:
    return f"received_time - event_time > {int(horizon.total_seconds() * 1_000_000)}"
