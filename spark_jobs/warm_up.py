"""`python -m spark_jobs.warm_up`: one small Delta write, read and aggregate, so that a driver's classes are loaded.

It runs in the JVM that PySpark's environment variables name; `spark_jobs.driver` starts it.
"""

from __future__ import annotations

import tempfile

from contracts.settings import from_environment
from spark_jobs.session import new_session


def main() -> None:
    """Write, read and aggregate a hundred rows in a folder that is thrown away."""
    spark = new_session(from_environment(), "warm-up")
    with tempfile.TemporaryDirectory() as folder:
        rows = spark.range(100).selectExpr("id", "DATE'2011-01-01' AS day", "CAST(id AS STRING) AS name")
        rows.write.format("delta").partitionBy("day").save(folder + "/table")
        read = spark.read.format("delta").load(folder + "/table")
        read.groupBy("day").agg({"id": "sum", "name": "max"}).collect()
    spark.stop()


if __name__ == "__main__":
    main()
