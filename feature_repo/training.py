"""The training set: Feast's point-in-time join of the label rows with the feature service.

A label row's time is its event's minus one microsecond, so that the event itself is not joined. A feature row
is joined if its own time and its created time (received, or published) are not after that. Derived features are the
same functions that serve, with the label's time as now.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa
from feast import FeatureStore
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, concat, count, count_distinct, expr, greatest, lit, unix_micros, when
from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

from contracts.consent import granted_sql
from contracts.cuts import Cut
from contracts.engines import SHUFFLE_PARTITIONS, shuffle_partitions
from contracts.errors import BraidError
from contracts.features import (
    DERIVED,
    FEATURE_SERVICE,
    SERVICE_VIEWS,
    SESSION,
    SHOPPER,
    USER,
    FeatureType,
    Request,
    derive,
)
from contracts.settings import Settings
from contracts.tables import table_named

CONTEXT = ("context_device", "context_channel", "context_country", "context_campaign")
LABEL_COLUMNS = (
    "event_id",
    "user_id",
    "shopper_id",
    "visitor_id",
    "session_id",
    "label_item_id",
    "event_timestamp",
    "event_on",
    "withdrawn_at",
    *CONTEXT,
)
MADE_AT = {SESSION: "session_consent_at", SHOPPER: "shopper_consent_at", USER: "user_cut_end_at"}
"""What a withdrawal must be older than for a row to be used: the choice a stream row was made under, a batch row's cut."""
CONSENT_KEYS = (("device_key", "device_state"), ("user_key", "user_state"))
NOW = "label_micros"
SPARK_TYPES = {FeatureType.INT64: LongType, FeatureType.STRING: StringType, FeatureType.FLOAT64: DoubleType}
ARROW_TYPES = {
    FeatureType.INT64: pa.int64(),
    FeatureType.STRING: pa.string(),
    FeatureType.FLOAT64: pa.float64(),
}


class TrainingSetError(BraidError):
    """There is nothing to join, or the join did not return exactly one example a label row."""


def write_training_set(
    spark: SparkSession, store: FeatureStore, settings: Settings, cut: Cut, label_days: int
) -> int:
    """Replace `gold_training_examples`; returns the number of examples.

    Raises:
        TrainingSetError: there are no label rows, or an example is missing or doubled.
    """
    tables = ("gold_label_rows", *(view.table for view in SERVICE_VIEWS))
    spark.conf.set(
        SHUFFLE_PARTITIONS, shuffle_partitions(*(table_named(table).path(settings) for table in tables))
    )
    # Feast's query reads them four times, and each time they would be joined with consent again.
    labels = label_rows(spark, settings, cut, label_days).persist(StorageLevel.MEMORY_AND_DISK)
    if labels.isEmpty():
        raise TrainingSetError(
            f"gold_label_rows has no rows in the {label_days} days to {cut.on} of shoppers who grant at that cut"
        )
    target = str(table_named("gold_training_examples").path(settings))
    writer = (
        with_derived(without_withdrawn(examples_of(store, labels))).write.format("delta").mode("overwrite")
    )
    writer.option("overwriteSchema", "true").save(target)
    rows = _checked(labels, spark.read.format("delta").load(target))
    labels.unpersist()
    return rows


def label_rows(spark: SparkSession, settings: Settings, cut: Cut, label_days: int) -> DataFrame:
    """Entity rows: the labels of the `label_days` days that end with the cut's day, of shoppers who grant still.

    A label row was made under the consent of its own cut; an example is made under that of this one (`gold_consent`).
    """
    first = cut.on - timedelta(days=label_days - 1)
    table = _table(spark, settings, "gold_label_rows").where(col("event_on").between(first, cut.on))
    known = _table(spark, settings, "gold_consent").where(col("cut_on") == lit(cut.on))
    states = known.select("shopper_id", col("consent_state").alias("state"))
    of_device, of_user = (
        states.select(col("shopper_id").alias(k), col("state").alias(s)) for k, s in CONSENT_KEYS
    )
    asked = table.withColumn("device_key", concat(lit("visitor:"), "visitor_id")).withColumn(
        "user_key", concat(lit("user:"), "linked_user_id")
    )
    joined = asked.join(of_device, "device_key", "left").join(of_user, "user_key", "left")
    newest = joined.withColumn("state", greatest("device_state", "user_state"))
    return newest.where(expr(granted_sql("state", "personalization"))).select(*LABEL_COLUMNS)


def _table(spark: SparkSession, settings: Settings, name: str) -> DataFrame:
    return spark.read.format("delta").load(str(table_named(name).path(settings)))


def examples_of(store: FeatureStore, labels: DataFrame) -> DataFrame:
    """Each label row with the service's features as of its time; lazily, by Spark."""
    job: Any = store.get_historical_features(
        entity_df=labels,
        features=store.get_feature_service(FEATURE_SERVICE),
        filter_by_created_timestamp=True,
    )
    examples: DataFrame = job.to_spark_df()
    return examples


def without_withdrawn(examples: DataFrame) -> DataFrame:
    """Leaves out rows that were made before a withdrawal known at the label's time, as the scorer does (decision 0015)."""
    allowed = {
        name: col("withdrawn_at").isNull() | (col(made_at) > col("withdrawn_at"))
        for view, made_at in MADE_AT.items()
        for name in view.feature_names
    }
    return examples.select(
        *(
            when(allowed[name], col(name)).alias(name) if name in allowed else col(name)
            for name in examples.columns
        )
    )


def with_derived(examples: DataFrame) -> DataFrame:
    """Adds the derived features as a request at the label's time would have had them."""
    timed = examples.withColumn(NOW, unix_micros("event_timestamp") + 1)
    derived = (StructField(one.name, SPARK_TYPES[one.dtype]()) for one in DERIVED)
    schema = StructType([*timed.schema.fields, *derived])
    return timed.mapInArrow(_derive_batches, schema).drop(NOW)


def _derive_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        found = [derive(row, _request(row)) for row in batch.select(_read(batch)).to_pylist()]
        derived = [pa.array([row[one.name] for row in found], ARROW_TYPES[one.dtype]) for one in DERIVED]
        names = [*batch.schema.names, *(one.name for one in DERIVED)]
        yield pa.RecordBatch.from_arrays([*batch.columns, *derived], names)


def _read(batch: pa.RecordBatch) -> list[str]:
    wanted = {NOW, *CONTEXT, *(name for one in DERIVED for name in one.inputs)}
    return [name for name in batch.schema.names if name in wanted]


def _request(row: Mapping[str, Any]) -> Request:
    device, channel, country, campaign = (row[name] for name in CONTEXT)
    return Request(row[NOW], device, channel, country, campaign)


def _checked(labels: DataFrame, examples: DataFrame) -> int:
    wanted = labels.count()
    counts = examples.agg(
        count("event_id").alias("rows"), count_distinct("visitor_id", "event_id").alias("events")
    ).first()
    assert counts is not None
    if not wanted == counts["rows"] == counts["events"]:
        raise TrainingSetError(
            f"{wanted} label rows gave {counts['rows']} examples of {counts['events']} events; "
            "look for feature rows of one key, time and created time"
        )
    return wanted
