"""`python -m spark_jobs.warm_up`: one small Delta write, merge-free read and aggregate, so that a driver's classes are loaded."""

from __future__ import annotations

import tempfile

from contracts.settings import from_environment
from spark_jobs.session import open_session


def main() -> None:
    """Write, read and aggregate a hundred rows in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder, open_session(from_environment(), "warm-up") as spark:
        rows = spark.range(100).selectExpr("id", "DATE'2011-01-01' AS day", "CAST(id AS STRING) AS name")
        rows.write.format("delta").partitionBy("day").save(folder + "/table")
        read = spark.read.format("delta").load(folder + "/table")
        read.groupBy("day").agg({"id": "sum", "name": "max"}).collect()


if __name__ == "__main__":
    main()
