"""The job lists: the daily top 10 of every user who consents to `email` and `personalization`, for e-mail and CRM.

The same decision library as the scorer's makes them, over the snapshot that serves. They stand in
gold_recommendations and as files under `var/exports/<cut>/`; a rerun in another process gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.consent import granted_sql
from contracts.errors import SourceError
from contracts.placements import placement_named
from models.decide.artifacts import Served, current_version, open_served
from models.decide.decide import Shopper, decide
from spark_jobs.list_files import write_files
from spark_jobs.run import Run

TABLE = "gold_recommendations"
PLACEMENT = "email"
PURPOSES = ("personalization", "email")
LIST_DDL = "user_id STRING, `rank` INT, item_id STRING, score DOUBLE, source STRING, reason STRING, model_version STRING"


def run_lists(run: Run) -> None:
    """Write the lists of the run's cut.

    Raises:
        SourceError: nothing is published yet, or the cut has no user features.
    """
    folder = _snapshot(run)
    lists = recommendations(shoppers(run, run.cut), folder).withColumn("cut_on", F.lit(run.cut))
    run.replace(TABLE, lists, f"cut_on = DATE'{run.cut}'")
    written = run.read(TABLE)
    assert written is not None
    rows = written.where(f"cut_on = DATE'{run.cut}'").drop("cut_on").orderBy("user_id", "rank")
    write_files(run.settings.exports / run.cut.isoformat(), rows.toArrow(), run.cut, folder.name)


def shoppers(run: Run, cut: date) -> DataFrame:
    """user_id, user_last_items, user_vector, user_vector_model of every user whose consent allows a list."""
    users, consents = run.read("gold_user_features"), run.read("gold_consent")
    if users is None or consents is None:
        raise SourceError(f"no user features of {cut}: run --jobs gold first")
    of_cut = f"cut_on = DATE'{cut}'"
    allowed = _allowed(consents.where(of_cut))
    known = users.where(of_cut).select("user_id", "user_last_items")
    return known.join(allowed, on="user_id", how="left_semi").join(
        _vectors(run, of_cut), on="user_id", how="left"
    )


def recommendations(users: DataFrame, snapshot: Path) -> DataFrame:
    """A list per user, made by `models.decide` in the Python workers."""

    def make(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        served = open_served(snapshot)
        for frame in frames:
            yield pd.DataFrame(
                [row for user in frame.itertuples() for row in list_of(served, user)], columns=_columns()
            )

    return users.mapInPandas(make, LIST_DDL)


def list_of(served: Served, user) -> Iterator[tuple[object, ...]]:  # type: ignore[no-untyped-def]
    """The rows of one user's list; `user` is a row of `shoppers`."""
    shopper = Shopper(
        user_items=[] if user.user_last_items is None else list(user.user_last_items),
        vector=user.user_vector,
        vector_model=user.user_vector_model,
        consent_granted=True,
    )
    placement = placement_named(PLACEMENT)
    decided = decide(served.snapshot, shopper, placement, placement.default_count, served.query)
    model = served.snapshot.model_version
    for rank, result in enumerate(decided.results, start=1):
        score = round(result.score, 6)
        yield user.user_id, rank, result.item_id, score, result.source, "; ".join(result.reasons), model


def _columns() -> list[str]:
    return [column.split()[0].strip("`") for column in LIST_DDL.split(", ")]


def _allowed(consents: DataFrame) -> DataFrame:
    """user_id of the shoppers who grant every purpose of a list."""
    states = consents.where("shopper_id LIKE 'user:%'").selectExpr(
        "substring(shopper_id, 6) AS user_id", "consent_state"
    )
    return states.where(" AND ".join(granted_sql(purpose) for purpose in PURPOSES)).select("user_id")


def _vectors(run: Run, of_cut: str) -> DataFrame:
    """The stored vectors of the cut; none where the champion is a baseline."""
    vectors = run.read("gold_user_embeddings")
    if vectors is None:
        empty = "user_id STRING, user_vector ARRAY<FLOAT>, user_vector_model STRING"
        return run.spark.createDataFrame([], empty)
    return vectors.where(of_cut).select("user_id", "user_vector", "user_vector_model")


def _snapshot(run: Run) -> Path:
    version = current_version(run.settings.serving)
    if version is None:
        raise SourceError("nothing is published: run python -m models publish first")
    return run.settings.serving / version
