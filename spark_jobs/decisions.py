"""The job decisions: what the scorer decided, from Kafka, as it wrote it."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.settings import TOPICS
from contracts.tables import table_named
from spark_jobs import delta
from spark_jobs.bronze import stream_once
from spark_jobs.bronze_rows import dated
from spark_jobs.run import Run

TABLE = "bronze_decisions"


def run_decisions(run: Run) -> None:
    """Read what is available of the topic; a decision stands in the table once."""
    path = table_named(TABLE).path(run.settings)

    def write(batch: DataFrame, app: str, version: int) -> None:
        delta.append_once(decision_rows(batch), path, table_named(TABLE).partition, app, version)
        run.rows[TABLE] = run.rows.get(TABLE, 0) + delta.written(path)

    stream_once(run, "decisions", (TOPICS.decisions,), write)


def decision_rows(records: DataFrame) -> DataFrame:
    """Records of the topic → id, time, the decision as JSON text, position."""
    text = records.select(
        F.col("value").cast("string").alias("decision"),
        F.col("partition").alias("source_partition"),
        F.col("offset").alias("source_offset"),
    )
    named = text.select(
        F.get_json_object("decision", "$.decision_id").alias("decision_id"),
        F.get_json_object("decision", "$.decided_at").cast("bigint").alias("decided_at"),
        "*",
    )
    return named.withColumn("decided_on", F.expr(dated("decided_at")))
