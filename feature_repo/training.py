"""The training set: Feast's point-in-time join of the label rows with the feature service.

A label row's time is its event's minus one microsecond, so that the event itself is not joined. A feature row
is joined if its own time and its created time (received, or published) are not after that.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from feast import FeatureStore
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, count, count_distinct

from contracts.cuts import Cut
from contracts.errors import BraidError
from contracts.features import FEATURE_SERVICE
from contracts.settings import Settings
from contracts.tables import table_named

LABEL_COLUMNS = (
    "event_id",
    "user_id",
    "visitor_id",
    "session_id",
    "label_item_id",
    "event_timestamp",
    "event_on",
)


class TrainingSetError(BraidError):
    """There is nothing to join, or the join did not return exactly one example a label row."""


def write_training_set(
    spark: SparkSession, store: FeatureStore, settings: Settings, cut: Cut, label_days: int
) -> int:
    """Replace `gold_training_examples`; returns the number of examples.

    Raises:
        TrainingSetError: there are no label rows, or an example is missing or doubled.
    """
    labels = label_rows(spark, settings, cut, label_days)
    if labels.isEmpty():
        raise TrainingSetError(f"gold_label_rows has no rows in the {label_days} days to {cut.on}")
    target = str(table_named("gold_training_examples").path(settings))
    writer = examples_of(store, labels).write.format("delta").mode("overwrite")
    writer.option("overwriteSchema", "true").save(target)
    return _checked(labels, spark.read.format("delta").load(target))


def label_rows(spark: SparkSession, settings: Settings, cut: Cut, label_days: int) -> DataFrame:
    """Entity rows: the labels of the `label_days` days that end with the cut's day."""
    first = cut.on - timedelta(days=label_days - 1)
    table = spark.read.format("delta").load(str(table_named("gold_label_rows").path(settings)))
    return table.select(*LABEL_COLUMNS).where(col("event_on").between(first, cut.on))


def examples_of(store: FeatureStore, labels: DataFrame) -> DataFrame:
    """Each label row with the service's features as of its time; lazily, by Spark."""
    job: Any = store.get_historical_features(
        entity_df=labels,
        features=store.get_feature_service(FEATURE_SERVICE),
        filter_by_created_timestamp=True,
    )
    examples: DataFrame = job.to_spark_df()
    return examples


def _checked(labels: DataFrame, examples: DataFrame) -> int:
    wanted = labels.count()
    counts = examples.agg(count("event_id").alias("rows"), count_distinct("event_id").alias("events")).first()
    assert counts is not None
    if not wanted == counts["rows"] == counts["events"]:
        raise TrainingSetError(
            f"{wanted} label rows gave {counts['rows']} examples of {counts['events']} events; "
            "look for feature rows of one key, time and created time"
        )
    return wanted
