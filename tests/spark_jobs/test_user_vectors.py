"""User vectors by Spark are the staged query tower's, user by user."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from pyspark.sql import SparkSession
from shop import user_rows

from contracts.errors import SourceError
from contracts.settings import Settings
from models.decide.artifacts import open_served, set_staged, write_snapshot
from models.decide.decide import question_of
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.shopper import Shopper
from models.decide.words import WORD_BUCKETS
from models.export import query_tower_file
from models.keras2 import tf
from models.towers import QueryTower, Shape
from spark_jobs.run import Run
from spark_jobs.user_vectors import TABLE, run_user_vectors
from tests.scorer.kit import snapshot

CUT = date(2011, 9, 1)
ENDS, MADE = datetime(2011, 9, 2, tzinfo=UTC), datetime(2011, 9, 2, 2, tzinfo=UTC)


@pytest.fixture
def run(spark: SparkSession, settings: Settings, tmp_path: Path) -> Run:
    """Users with two items (and with another one the day before), with none that the snapshot knows, with nothing, with searches."""
    run = Run(spark, replace(settings, var=tmp_path), CUT, CUT)
    users = [
        {"user_id": "u1", "user_last_items": ["b", "a"], "user_top_items_90d": ["a"], "user_carts_90d": 7},
        {"user_id": "u2", "user_last_items": ["gone"]},
        {"user_id": "u3"},
        {"user_id": "u1", "user_last_items": ["c"], "cut_on": date(2011, 8, 31)},
        {"user_id": "u4", "user_last_searches_90d": ["tea", "mug"]},
    ]
    times = {"event_timestamp": ENDS, "created_timestamp": MADE, "cut_on": CUT}
    more = "event_timestamp TIMESTAMP, created_timestamp TIMESTAMP, cut_on DATE"
    rows = user_rows(spark, *({**times, **user} for user in users), more=more)
    run.replace("gold_user_features", rows, "TRUE")
    return run


def test_each_user_has_the_query_of_the_own_items(run: Run) -> None:
    tf.keras.utils.set_random_seed(3)
    tower = QueryTower(Shape(blocks=1))
    inputs = ((1, SLOTS, 64), (1, SLOTS), (1, 64), (1, FACTS))
    tower(tuple(np.zeros(shape, np.int32 if shape == (1, SLOTS) else np.float32) for shape in inputs))
    staged = replace(
        snapshot("two_tower", "two_tower-7"), word_vectors=np.ones((WORD_BUCKETS, 64), np.float32)
    )
    version = write_snapshot(run.settings.serving, staged, query_tower_file(tower), MADE)
    with pytest.raises(SourceError, match="models embed"):
        run_user_vectors(run)
    set_staged(run.settings.serving, str(CUT), version)
    run_user_vectors(run)
    written = run.read(TABLE)
    assert written is not None
    row, of_words = written.orderBy("user_id").collect()
    assert (row.user_id, row.user_vector_model, row.cut_on) == ("u1", "two_tower-7", CUT)
    assert row.event_timestamp.astimezone(UTC) == ENDS
    served = open_served(run.settings.serving / version)
    assert served.query is not None
    for found, shopper in (
        (
            row,
            Shopper(user_items=["b", "a", "a"], features={"user_carts_90d": 7, "user_purchases_90d_now": 0}),
        ),
        (of_words, Shopper(earlier_searches=["tea"], features={"user_purchases_90d_now": 0})),
    ):
        expected = served.query(question_of(shopper, served.snapshot)[0])
        assert np.array_equal(np.array(found.user_vector, np.float32), expected)
    assert of_words.user_id == "u4"


def test_where_a_baseline_serves_nobody_has_a_vector(run: Run) -> None:
    version = write_snapshot(run.settings.serving, snapshot(), None, MADE)
    set_staged(run.settings.serving, str(CUT), version)
    run_user_vectors(run)
    written = run.read(TABLE)
    assert written is not None
    assert written.count() == 0
