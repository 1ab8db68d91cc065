"""Lists and their files: the same rows give the same bytes; only who consents gets a list."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from shop import DENIED, at, bronze, event, silver, user_rows

from contracts.clock import to_micros
from contracts.policy import Placement, Policy
from contracts.settings import Settings
from models.decide.artifacts import set_current, write_snapshot
from models.decide.ranker import NUMBERS
from models.decide.sessions import no_sessions
from models.decide.shelf import Served
from models.decide.snapshot import Snapshot
from spark_jobs.exports import write_export
from spark_jobs.list_rows import rows_of, with_said
from spark_jobs.lists import run_lists
from spark_jobs.run import Run
from spark_jobs.shoppers import COLUMNS, SAID

CUT = date(2011, 8, 1)


def popular_snapshot() -> Snapshot:
    """Three items, the third out of stock, by popularity."""
    ids = ("i1", "i2", "i3")
    return Snapshot(
        ids=ids,
        index={item: n for n, item in enumerate(ids)},
        titles=ids,
        categories=(None, None, None),
        brands=(None, None, None),
        price_minor=(100, 200, 300),
        currency=("GBP",) * 3,
        in_stock=np.array([True, True, False]),
        offered_at=np.zeros(3, np.int64),
        campaigns=(None,) * 3,
        ships_in_days=np.full(3, -1, np.int32),
        numbers=np.zeros((3, len(NUMBERS)), np.float32),
        vectors=np.zeros((0, 64), np.float32),
        word_vectors=np.zeros((0, 64), np.float32),
        popularity=np.array([1, 5, 9], np.float32),
        neighbours=np.full((3, 50), -1, np.int32),
        scores=np.zeros((3, 50), np.float32),
        sessions=no_sessions(3),
        kind="popularity",
        version="",
        model_version="popularity-1",
        cut_on=CUT.isoformat(),
    )


SHOPPER_DDL = (
    "shopper_id STRING, visitor_id STRING, event_id STRING, consent_changed_at BIGINT, events_seen BIGINT, "
    "event_timestamp TIMESTAMP, event_on DATE, cut_on DATE, "
    + ", ".join(f"{name} ARRAY<STRING>" for name in SAID)
)


def shopper_row(
    choice: int, seen: int, when: str, muted: list[str] | None, less: list[str] | None
) -> dict[str, Any]:
    """A row of user u1's shopper view."""
    moment = datetime.strptime(f"2011-{when}", "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    return {
        **dict.fromkeys(SAID),
        "shopper_id": "user:u1",
        "visitor_id": "v1",
        "event_id": f"{choice}-{seen}",
        "consent_changed_at": choice,
        "events_seen": seen,
        "event_timestamp": moment,
        "event_on": moment.date(),
        "cut_on": CUT,
        "shopper_muted_items": muted,
        "shopper_less_items": less,
    }


def test_what_a_user_muted_is_in_no_list(spark: SparkSession) -> None:
    users = spark.createDataFrame([("u1",), ("u2",)], "user_id STRING")
    rows = [shopper_row(1, 1, "08-01 10:00", ["i2"], ["i0"]), shopper_row(1, 2, "08-01 11:00", ["i1"], None)]
    said = with_said(users, spark.createDataFrame(rows, SHOPPER_DDL), CUT).collect()
    assert {row["user_id"]: row["shopper_muted_items"] for row in said} == {"u1": ["i1"], "u2": None}
    row = {
        **dict.fromkeys(COLUMNS),
        **dict.fromkeys(SAID),
        "user_id": "u1",
        "vector": None,
        "vector_model": None,
    }
    served = Served.of(popular_snapshot(), None)
    then = datetime(2011, 8, 2, 2, tzinfo=UTC)
    assert [made[2] for made in rows_of(served, row, then)] == ["i2", "i1"]
    assert [made[2] for made in rows_of(served, row | {"shopper_muted_items": ["i2"]}, then)] == ["i1"]
    bought = f"{to_micros(then - timedelta(days=1))}\ni2"
    ruled = served.under(Policy(placements={"email": Placement(bought_days=3)}))
    assert [made[2] for made in rows_of(ruled, row | {"shopper_last_orders": [bought]}, then)] == ["i1"]


def test_lists_go_to_who_consents_and_a_rerun_gives_the_same_bytes(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    run = Run(spark, replace(settings, var=tmp_path), CUT, CUT)
    denied = DENIED | {"consent_changed_at": at("08-01 09:00")}
    events = [
        event("a", "08-01 10:00", user_id="u1"),
        event("b", "08-01 10:00", user_id="u2", visitor_id="v2", **denied),
        event("c", "08-01 10:00", user_id="u3", visitor_id="v3", consent_email="denied"),
    ]
    came = bronze(spark, events).withColumn("received_on", F.lit(CUT))
    run.replace("bronze_events", came, "TRUE")
    run.replace("silver_events", silver(spark, events), "TRUE")
    users = [{"user_id": user, "user_last_items": ["i1"], "cut_on": CUT} for user in ("u1", "u2", "u3")]
    run.replace("gold_user_features", user_rows(spark, *users, more="cut_on DATE"), "TRUE")
    # The newest row of the newest choice counts; a later cut's does not.
    said = [
        shopper_row(1, 1, "08-01 10:00", ["i2"], ["i0"]),
        shopper_row(1, 2, "08-01 11:00", None, None),
        shopper_row(0, 9, "08-01 12:00", ["i1"], None),
        shopper_row(1, 3, "08-02 10:00", ["i1"], None) | {"cut_on": CUT + timedelta(days=1)},
    ]
    run.replace("gold_shopper_features", spark.createDataFrame(said, SHOPPER_DDL), "TRUE")
    version = write_snapshot(run.settings.serving, popular_snapshot(), None, datetime(2011, 8, 2, tzinfo=UTC))
    set_current(run.settings.serving, version)

    run_lists(run)
    folder = run.settings.exports / "2011-08-01"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    rows = first["recommendations.csv"].decode().splitlines()
    assert [row.split(",")[:3] for row in rows[1:]] == [['"u1"', "1", '"i2"'], ['"u1"', "2", '"i1"']]
    manifest = json.loads(first["manifest.json"])
    assert (manifest["users"], manifest["rows"], manifest["model_version"]) == (1, 2, "popularity-1")
    named = manifest["files"]["recommendations.parquet"]["sha256"]
    assert named == hashlib.sha256(first["recommendations.parquet"]).hexdigest()
    run_lists(run)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_an_export_without_rows_is_complete(tmp_path: Path) -> None:
    columns = ("user_id", "rank", "item_id", "score", "source", "reason", "model_version", "cut_on")
    write_export(tmp_path, pa.table({name: pa.array([], pa.string()) for name in columns}), CUT, "m")
    assert json.loads((tmp_path / "manifest.json").read_text())["rows"] == 0
