"""The daily lists, pure: shoppers of a cut → their items, by the decision library the scorer uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from contracts.policy import PlacementName, Policy
from models.decide.artifacts import open_served
from models.decide.decide import decide
from models.decide.shelf import Served
from spark_jobs.consent_times import granted
from spark_jobs.shoppers import SAID, shopper_of

PLACEMENT: PlacementName = "email"
LIST_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float64()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("model_version", pa.string()),
    ]
)
PURPOSES = ("email", "personalization")
USER_KEY = "user:"


def consenting(users: DataFrame, people: DataFrame) -> DataFrame:
    """The users whose own and devices' newest choices all grant what a list needs.

    Args:
        users: `gold_user_features` of the cut.
        people: `consent_times.person_times` as known for the lists.
    """
    allowed = granted("consent_state", PURPOSES[0]) & granted("consent_state", PURPOSES[1])
    known = people.where("linked_user_id IS NOT NULL").groupBy(F.col("linked_user_id").alias("user_id"))
    return users.join(known.agg(F.min(allowed).alias("allowed")).where("allowed"), "user_id", "left_semi")


def with_said(users: DataFrame, shoppers: DataFrame | None, cut: date) -> DataFrame:
    """The users with `SAID` of the newest row of each at the cut, as the store would have it: the newest choice's first.

    Args:
        shoppers: `gold_shopper_features`; None where the table is not there yet.
    """
    if shoppers is None:
        return users.withColumns({name: F.lit(None).cast("array<string>") for name in SAID})
    of_users = shoppers.where((F.col("cut_on") <= F.lit(cut)) & F.col("shopper_id").startswith(USER_KEY))
    newest = F.struct("consent_changed_at", "event_timestamp", "events_seen")
    rows = of_users.groupBy("shopper_id").agg(F.max_by(F.struct(*SAID), newest).alias("said"))
    said = rows.select(F.substring("shopper_id", len(USER_KEY) + 1, 1000).alias("user_id"), "said.*")
    return users.join(said, "user_id", "left")


def lists(shoppers: DataFrame, snapshot: Path, policy: Policy, at: datetime) -> DataFrame:
    """`LIST_SCHEMA`: the best items of each shopper.

    Args:
        shoppers: `shoppers.COLUMNS`, `SAID`, `vector`, `vector_model`.
        snapshot: the folder that serves; each task opens (and checks) it once.
        at: when the cut is published, the moment that the lists are of.
    """
    return shoppers.mapInArrow(_decider(snapshot, policy, at), from_arrow_schema(LIST_SCHEMA))


def rows_of(served: Served, row: Mapping[str, Any], at: datetime) -> list[tuple[object, ...]]:
    """One shopper's list, best first."""
    shopper = replace(shopper_of(row, at), vector=row["vector"], vector_model=row["vector_model"])
    count = served.rules.policy.at(PLACEMENT).default_count
    decided = decide(served, shopper, PLACEMENT, count, at)
    return [
        (
            row["user_id"],
            rank,
            r.item_id,
            r.score,
            r.source,
            "; ".join(r.reasons),
            served.snapshot.model_version,
        )
        for rank, r in enumerate(decided.results, start=1)
    ]


def _decider(
    snapshot: Path, policy: Policy, at: datetime
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def each(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        served = open_served(snapshot, policy)
        for batch in batches:
            found = [made for row in batch.to_pylist() for made in rows_of(served, row, at)]
            columns = zip(*found, strict=True) if found else [()] * len(LIST_SCHEMA)
            arrays = [pa.array(values, part.type) for values, part in zip(columns, LIST_SCHEMA, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=LIST_SCHEMA)

    return each
