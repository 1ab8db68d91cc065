"""Delta at the rim of the jobs: read a table, replace rows that a condition names, append once."""

from __future__ import annotations

import json
from pathlib import Path

from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

FORMAT = "delta"


def exists(path: Path) -> bool:
    """Whether the table has been written."""
    return (path / "_delta_log").is_dir()


def read(spark: SparkSession, path: Path) -> DataFrame | None:
    """The table, or None before its first write."""
    return spark.read.format(FORMAT).load(str(path)) if exists(path) else None


def replace(frame: DataFrame, path: Path, partition: str | None, where: str) -> int:
    """Replace the rows that `where` is true of by `frame`, in one commit; returns the rows written."""
    writer = _writer(frame, partition).mode("overwrite")
    if exists(path):
        # A release may add a column: rows of before hold null there.
        writer = writer.option("replaceWhere", where).option("mergeSchema", "true")
    writer.save(str(path))
    return written(path)


def append_once(frame: DataFrame, path: Path, partition: str | None, app: str, version: int) -> None:
    """Append `frame`; a second append of the same `app` and `version` does nothing."""
    writer = _writer(frame, partition).mode("append")
    writer.option("txnAppId", app).option("txnVersion", version).save(str(path))


def written(path: Path) -> int:
    """Rows that the newest commit wrote, by its own metrics."""
    newest = max((path / "_delta_log").glob("*.json"))
    lines = (json.loads(line) for line in newest.read_text().splitlines())
    info = next(line["commitInfo"] for line in lines if "commitInfo" in line)
    return int(info.get("operationMetrics", {}).get("numOutputRows", 0))


def _writer(frame: DataFrame, partition: str | None) -> DataFrameWriter:
    """One file a partition value: rows of a value stand together."""
    if partition is None:
        return frame.coalesce(1).write.format(FORMAT)
    return frame.repartition(partition).write.format(FORMAT).partitionBy(partition)
