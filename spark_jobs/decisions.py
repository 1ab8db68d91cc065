"""The job decisions: Kafka's `decisions` → bronze_decisions, each with its position; decision_id is the key."""

from __future__ import annotations

from pyspark.sql import DataFrame

from contracts.settings import TOPICS
from contracts.tables import table_named
from spark_jobs import delta
from spark_jobs.bronze import stream_once
from spark_jobs.bronze_rows import dated
from spark_jobs.run import Run

TABLE = "bronze_decisions"


def run_decisions(run: Run) -> None:
    """Append what the topic holds beyond the stream's checkpoint."""
    declared = table_named(TABLE)
    path = declared.path(run.settings)

    def write(batch: DataFrame, app: str, version: int) -> None:
        delta.append_once(decision_rows(batch), path, declared.partition, app, version)
        run.rows[TABLE] = run.rows.get(TABLE, 0) + delta.written(path)

    stream_once(run, "decisions", (TOPICS.decisions,), write)


def decision_rows(records: DataFrame) -> DataFrame:
    """Kafka records → the table's columns."""
    return records.where("value IS NOT NULL").selectExpr(
        "CAST(key AS STRING) AS decision_id",
        "CAST(get_json_object(CAST(value AS STRING), '$.decided_at') AS BIGINT) AS decided_at",
        "CAST(value AS STRING) AS decision",
        f"{dated(_DECIDED_AT)} AS decided_on",
        "`partition` AS source_partition",
        "offset AS source_offset",
    )


_DECIDED_AT = "CAST(get_json_object(CAST(value AS STRING), '$.decided_at') AS BIGINT)"
