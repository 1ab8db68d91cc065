"""The job user_vectors: the query tower's vector of every user of the cut → gold_user_embeddings.

The towers are those of the staged snapshot (`models embed`); each task opens and checks it once. A user of whom neither an item
nor a search is known has no vector, and where a baseline serves nobody has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.cuts import Cut
from contracts.errors import SourceError
from models.decide.artifacts import open_served, open_snapshot, staged_version
from models.decide.decide import question_of
from spark_jobs.run import Run
from spark_jobs.shoppers import COLUMNS, shopper_of

TABLE = "gold_user_embeddings"
TIMES = ("event_timestamp", "created_timestamp")
READ = (*COLUMNS, *TIMES)
DDL = "user_id STRING, user_vector ARRAY<FLOAT>, event_timestamp TIMESTAMP, created_timestamp TIMESTAMP"


def run_user_vectors(run: Run) -> None:
    """Replace the cut's rows.

    Raises:
        SourceError: no snapshot of the cut is staged, or a table is missing.
    """
    folder, model_version, has_tower = _staged(run)
    users = run.read("gold_user_features")
    if users is None:
        raise SourceError("gold_user_features has not been written: run the job gold first")
    cut = f"cut_on = DATE'{run.cut}'"
    rows = run.spark.createDataFrame([], DDL)
    if has_tower:
        published_at = Cut(run.cut, run.settings.publish_delay).published_at
        rows = vectors(users.where(cut).select(*READ), folder, published_at)
    told = rows.withColumn("user_vector_model", F.lit(model_version)).withColumn("cut_on", F.lit(run.cut))
    run.replace(TABLE, told, cut)


def vectors(users: DataFrame, snapshot: Path, at: datetime) -> DataFrame:
    """`DDL`: a vector for each user of whom an item that the snapshot knows, or a search, is known.

    In Arrow over the partitions: pandas would make floats of integers that may be null.

    Args:
        users: `READ`; times are those of the user's feature row.
        snapshot: the folder of a two-tower's snapshot.
        at: when the cut is published, the moment that the vectors are of.
    """
    return users.mapInArrow(_vectors_of(snapshot, at), DDL)


def _vectors_of(
    snapshot: Path, at: datetime
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def each(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served = open_served(snapshot)
        query = served.query
        assert query is not None
        for batch in batches:
            asked = [question_of(shopper_of(row, at), served.snapshot)[0] for row in batch.to_pylist()]
            known = pa.array([not one.is_empty for one in asked], pa.bool_())
            found = batch.select(["user_id", *TIMES]).filter(known)
            made = pa.array([query(one) for one in asked if not one.is_empty], pa.list_(pa.float32()))
            user, *times = found.columns
            yield pa.RecordBatch.from_arrays([user, made, *times], ["user_id", "user_vector", *TIMES])

    return each


def _staged(run: Run) -> tuple[Path, str, bool]:
    """The folder of the cut's staged snapshot, its model, and whether that has towers."""
    serving, cut = run.settings.serving, run.cut.isoformat()
    version = staged_version(serving, cut)
    if version is None:
        raise SourceError(f"no snapshot of {cut} is staged: run `python -m models embed --cut {cut}` first")
    snapshot = open_snapshot(serving / version)
    return serving / version, snapshot.model_version, snapshot.kind == "two_tower"
