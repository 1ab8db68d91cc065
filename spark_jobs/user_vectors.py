"""The job user_vectors: the query tower's vector of every user of the cut → gold_user_embeddings.

The towers are those of the staged snapshot (`models embed`); each task opens and checks it once. A user without a known item has no
vector, and where a baseline serves nobody has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.errors import SourceError
from models.decide.artifacts import open_served, open_snapshot, staged_version
from models.decide.query import slots
from spark_jobs.run import Run

TABLE = "gold_user_embeddings"
READ = ("user_id", "user_last_items", "event_timestamp", "created_timestamp")
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
    rows = (
        vectors(users.where(cut).select(*READ), folder) if has_tower else run.spark.createDataFrame([], DDL)
    )
    told = rows.withColumn("user_vector_model", F.lit(model_version)).withColumn("cut_on", F.lit(run.cut))
    run.replace(TABLE, told, cut)


def vectors(users: DataFrame, snapshot: Path) -> DataFrame:
    """`DDL`: a vector for each user who has an item that the snapshot knows.

    Args:
        users: `READ`; times are those of the user's feature row.
        snapshot: the folder of a two-tower's snapshot.
    """
    return users.mapInPandas(_vectors_of(snapshot), DDL)


def _vectors_of(snapshot: Path) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    def each(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        served = open_served(snapshot)
        query = served.query
        assert query is not None
        for batch in batches:
            asked = [
                slots((), () if items is None else items, served.snapshot.index)
                for items in batch["user_last_items"]
            ]
            known = [bool(kinds.any()) for _, kinds in asked]
            found = batch.loc[known, ["user_id", "event_timestamp", "created_timestamp"]].copy()
            found.insert(
                1, "user_vector", [query(*one) for one, there in zip(asked, known, strict=True) if there]
            )
            yield found

    return each


def _staged(run: Run) -> tuple[Path, str, bool]:
    """The folder of the cut's staged snapshot, its model, and whether that has towers."""
    serving, cut = run.settings.serving, run.cut.isoformat()
    version = staged_version(serving, cut)
    if version is None:
        raise SourceError(f"no snapshot of {cut} is staged: run `python -m models embed --cut {cut}` first")
    snapshot = open_snapshot(serving / version)
    return serving / version, snapshot.model_version, snapshot.kind == "two_tower"
