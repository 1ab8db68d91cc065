"""Delta at the rim: what a release adds to a table costs no row of before."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from spark_jobs import delta


def test_a_new_column_is_null_in_rows_of_before_and_none_is_lost(spark: SparkSession, tmp_path: Path):
    path = tmp_path / "table"
    before = spark.createDataFrame([("08-01", 1), ("08-02", 2)], "day STRING, n INT")
    after = spark.createDataFrame([("08-02", 3, ["a"])], "day STRING, n INT, items ARRAY<STRING>")
    delta.replace(before, path, "day", "true")
    assert delta.replace(after, path, "day", "day = '08-02'") == 1
    found = delta.read(spark, path)
    assert found is not None
    assert sorted(map(tuple, found.collect())) == [("08-01", 1, None), ("08-02", 3, ["a"])]


def test_a_column_of_another_type_is_refused(spark: SparkSession, tmp_path: Path):
    path = tmp_path / "table"
    delta.replace(spark.createDataFrame([("08-01", 1)], "day STRING, n INT"), path, "day", "true")
    other = spark.createDataFrame([("08-01", ["a"])], "day STRING, n ARRAY<STRING>")
    with pytest.raises(AnalysisException, match="n"):
        delta.replace(other, path, "day", "day = '08-01'")
    found = delta.read(spark, path)
    assert found is not None
    assert list(map(tuple, found.collect())) == [("08-01", 1)]
