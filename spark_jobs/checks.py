"""The jobs check_decisions and session_counts: the online side held against what Delta says."""

from __future__ import annotations

from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.errors import SourceError
from contracts.features import SESSION, SHOPPER, USER, View
from contracts.settings import TOPICS
from spark_jobs import interleaved, parity
from spark_jobs.derived_rows import derived_differences
from spark_jobs.run import Run

EXAMPLES = 5
STREAM_SOURCE = f"kafka:{TOPICS.events}"
SIMULATED = "sim-"
SEVERAL_DEVICES = "shopper_several_devices"


def check_decisions(run: Run) -> dict[str, Any]:
    """`parity`: decisions, what was compared of each kind, differences, and a few of these.

    `rows` counts rows of a view, `shopper_several_devices` those rows of a shopper whose order nothing recorded, and
    `derived` decisions whose derived features were computed again.
    """
    decisions = _table(run, "bronze_decisions").dropDuplicates(["decision_id"]).persist()
    try:
        compared = _stream_rows(run, decisions) | {"derived": derived_differences(decisions)}
        users = run.read("gold_user_features")
        if users is not None:
            compared[USER.name] = parity.user_differences(parity.used_rows(decisions, USER), users)
        return {"parity": {"decisions": decisions.count(), **_summary(compared)}}
    finally:
        decisions.unpersist()


def session_counts(run: Run) -> dict[str, Any]:
    """`session_counts`: events of each session of the simulator's shoppers, as `visitor/session`, newest consent only."""
    simulated = _stream_events(run, SESSION).where(f"visitor_id LIKE '{SIMULATED}%'")
    counted = simulated.groupBy(*parity.group_of(SESSION)).count()
    newest = counted.groupBy("visitor_id", "session_id").agg(
        F.max_by("count", "consent_changed_at").alias("n")
    )
    rows = newest.toArrow().to_pylist()
    return {"session_counts": {f"{row['visitor_id']}/{row['session_id']}": row["n"] for row in rows}}


def _stream_rows(run: Run, decisions: DataFrame) -> dict[str, DataFrame]:
    """The comparisons of the stream's views."""
    sessions, shoppers = (parity.used_rows(decisions, view) for view in (SESSION, SHOPPER))
    visits, events = _stream_events(run, SESSION), _stream_events(run, SHOPPER)
    keys, several = list(parity.group_of(SHOPPER)), parity.of_several_devices(SHOPPER, events)
    ordered, unordered = (shoppers.join(several, keys, how) for how in ("left_anti", "left_semi"))
    return {
        SESSION.name: _prefixes(SESSION, sessions, visits),
        SHOPPER.name: _prefixes(SHOPPER, ordered, events),
        SEVERAL_DEVICES: interleaved.interleaving_differences(
            SHOPPER, unordered, events.join(several, keys, "left_semi")
        ),
    }


def _prefixes(view: View, used: DataFrame, events: DataFrame) -> DataFrame:
    return parity.stream_differences(view, used, parity.expected_rows(view, used, events))


def _stream_events(run: Run, view: View) -> DataFrame:
    bronze = _table(run, "bronze_events").where(F.col("source") == STREAM_SOURCE)
    return parity.stream_events(view, bronze, run.settings.session_horizon)


def _summary(compared: dict[str, DataFrame]) -> dict[str, Any]:
    named = [frame.withColumn("view", F.lit(name)) for name, frame in compared.items()]
    every = reduce(DataFrame.unionByName, named).persist()
    try:
        counts = {
            row["view"]: row
            for row in every.groupBy("view")
            .agg(F.count("*").alias("rows"), F.expr("COUNT_IF(NOT same)").alias("bad"))
            .collect()
        }
        examples = [row.asDict() for row in every.where("NOT same").limit(EXAMPLES).collect()]
    finally:
        every.unpersist()
    return {
        "rows": {view: row["rows"] for view, row in counts.items()},
        "differences": sum(row["bad"] for row in counts.values()),
        "examples": examples,
    }


def _table(run: Run, name: str) -> DataFrame:
    found = run.read(name)
    if found is None:
        raise SourceError(f"{name} has not been written: run its job first")
    return found
