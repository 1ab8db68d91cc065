"""The daily lists, pure: shoppers of a cut → their items, by the decision library the scorer uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.placements import placement_named
from models.decide.artifacts import Served, open_served
from models.decide.decide import Shopper, decide
from spark_jobs.consent_times import granted

COUNT = 10
LIST_DDL = "user_id STRING, rank INT, item_id STRING, score DOUBLE, source STRING, reason STRING, model_version STRING"
PURPOSES = ("email", "personalization")


def consenting(users: DataFrame, people: DataFrame) -> DataFrame:
    """The users whose own and devices' newest choices all grant what a list needs.

    Args:
        users: `gold_user_features` of the cut.
        people: `consent_times.person_times` as known for the lists.
    """
    allowed = granted("consent_state", PURPOSES[0]) & granted("consent_state", PURPOSES[1])
    known = people.where("linked_user_id IS NOT NULL").groupBy(F.col("linked_user_id").alias("user_id"))
    return users.join(known.agg(F.min(allowed).alias("allowed")).where("allowed"), "user_id", "left_semi")


def lists(shoppers: DataFrame, snapshot: Path) -> DataFrame:
    """`LIST_DDL`: the best items of each shopper.

    Args:
        shoppers: `user_id`, `user_last_items`, `vector`, `vector_model`.
        snapshot: the folder that serves; each task opens (and checks) it once.
    """
    return shoppers.mapInPandas(_decider(snapshot), LIST_DDL)


def rows_of(
    served: Served, user: str, items: list[str], vector: object, model: str | None
) -> list[tuple[object, ...]]:
    """One shopper's list, best first."""
    shopper = Shopper(user_items=items, vector=vector, vector_model=model, consent_granted=True)  # type: ignore[arg-type]
    decided = decide(served.snapshot, shopper, placement_named("email"), COUNT, served.query)
    return [
        (user, rank, r.item_id, r.score, r.source, "; ".join(r.reasons), served.snapshot.model_version)
        for rank, r in enumerate(decided.results, start=1)
    ]


def _decider(snapshot: Path) -> Callable[[Iterator[pd.DataFrame]], Iterator[pd.DataFrame]]:
    columns = [part.split()[0] for part in LIST_DDL.split(", ")]

    def each(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        served = open_served(snapshot)
        for batch in batches:
            found = [
                row
                for user, items, vector, model in batch.itertuples(index=False)
                for row in rows_of(served, user, [] if items is None else list(items), vector, model)
            ]
            yield pd.DataFrame(found, columns=columns)

    return each
