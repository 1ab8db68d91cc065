"""User vectors by Spark are the staged query tower's, user by user."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession

from contracts.errors import SourceError
from contracts.settings import Settings
from models.decide.artifacts import open_served, set_staged, write_snapshot
from models.decide.query import slots
from models.export import query_tower_file
from models.keras2 import tf
from models.towers import QueryTower, Shape
from spark_jobs.run import Run
from spark_jobs.user_vectors import READ, TABLE, run_user_vectors
from tests.scorer.kit import snapshot

CUT = date(2011, 9, 1)
ENDS, MADE = datetime(2011, 9, 2, tzinfo=UTC), datetime(2011, 9, 2, 2, tzinfo=UTC)


@pytest.fixture
def run(spark: SparkSession, settings: Settings, tmp_path: Path) -> Run:
    """Three users: one with two items, one with none that the snapshot knows, one of the day before."""
    run = Run(spark, replace(settings, var=tmp_path), CUT, CUT)
    users = [
        ("u1", ["b", "a"], ENDS, MADE, CUT),
        ("u2", ["gone"], ENDS, MADE, CUT),
        ("u3", None, ENDS, MADE, CUT),
        ("u1", ["c"], ENDS, MADE, date(2011, 8, 31)),
    ]
    kinds = ("STRING", "ARRAY<STRING>", "TIMESTAMP", "TIMESTAMP", "DATE")
    ddl = ", ".join(f"{name} {kind}" for name, kind in zip((*READ, "cut_on"), kinds, strict=True))
    run.replace("gold_user_features", spark.createDataFrame(users, ddl), "TRUE")
    return run


def test_each_user_has_the_query_of_the_own_items(run: Run) -> None:
    tf.keras.utils.set_random_seed(3)
    tower = QueryTower(Shape(blocks=1))
    tower((np.zeros((1, 50, 64), np.float32), np.zeros((1, 50), np.int32)))
    version = write_snapshot(
        run.settings.serving, snapshot("two_tower", "two_tower-7"), query_tower_file(tower), MADE
    )
    with pytest.raises(SourceError, match="models embed"):
        run_user_vectors(run)
    set_staged(run.settings.serving, str(CUT), version)
    run_user_vectors(run)
    written = run.read(TABLE)
    assert written is not None
    [row] = written.collect()
    assert (row.user_id, row.user_vector_model, row.cut_on) == ("u1", "two_tower-7", CUT)
    assert row.event_timestamp.astimezone(UTC) == ENDS
    served = open_served(run.settings.serving / version)
    assert served.query is not None
    expected = served.query(*slots((), ["b", "a"], served.snapshot.index))
    assert np.array_equal(np.array(row.user_vector, np.float32), expected)


def test_where_a_baseline_serves_nobody_has_a_vector(run: Run) -> None:
    version = write_snapshot(run.settings.serving, snapshot(), None, MADE)
    set_staged(run.settings.serving, str(CUT), version)
    run_user_vectors(run)
    written = run.read(TABLE)
    assert written is not None
    assert written.count() == 0
