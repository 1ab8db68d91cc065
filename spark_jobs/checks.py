"""The jobs check_decisions and session_counts: the online side held against what Delta says."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.errors import SourceError
from contracts.features import SESSION, USER
from contracts.settings import TOPICS
from spark_jobs import parity
from spark_jobs.run import Run

EXAMPLES = 5
STREAM_SOURCE = f"kafka:{TOPICS.events}"
SIMULATED = "sim-"


def check_decisions(run: Run) -> dict[str, Any]:
    """`parity`: decisions, rows compared of each view, differences, and a few of these."""
    decisions = _table(run, "bronze_decisions").dropDuplicates(["decision_id"])
    sessions = parity.used_rows(decisions, SESSION)
    events = _session_events(run)
    compared = [
        parity.session_differences(sessions, parity.expected_sessions(sessions, events)).withColumn(
            "view", F.lit(SESSION.name)
        )
    ]
    users = run.read("gold_user_features")
    if users is not None:
        used = parity.used_rows(decisions, USER)
        compared.append(parity.user_differences(used, users).withColumn("view", F.lit(USER.name)))
    return {"parity": {"decisions": decisions.count(), **_summary(compared)}}


def session_counts(run: Run) -> dict[str, Any]:
    """`session_counts`: events of each session of the simulator's shoppers, as `visitor/session`, newest consent only."""
    counted = _session_events(run).where(f"visitor_id LIKE '{SIMULATED}%'").groupBy(*parity.GROUP).count()
    newest = counted.groupBy("visitor_id", "session_id").agg(
        F.max_by("count", "consent_changed_at").alias("n")
    )
    rows = newest.toArrow().to_pylist()
    return {"session_counts": {f"{row['visitor_id']}/{row['session_id']}": row["n"] for row in rows}}


def _session_events(run: Run) -> DataFrame:
    bronze = _table(run, "bronze_events").where(F.col("source") == STREAM_SOURCE)
    return parity.stream_events(bronze, run.settings.session_horizon)


def _summary(compared: list[DataFrame]) -> dict[str, Any]:
    both = compared[0] if len(compared) == 1 else compared[0].unionByName(compared[1])
    both = both.persist()
    try:
        counts = {
            row["view"]: row
            for row in both.groupBy("view")
            .agg(F.count("*").alias("rows"), F.expr("COUNT_IF(NOT same)").alias("bad"))
            .collect()
        }
        examples = [row.asDict() for row in both.where("NOT same").limit(EXAMPLES).collect()]
    finally:
        both.unpersist()
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
