"""The jobs check_decisions and session_counts: what served, held against Delta.

`check_decisions` makes every row that a decision used again and reports what differs; `session_counts` counts the
simulator's live events per session, to be compared with what the online store counted.
"""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from contracts.errors import SourceError
from contracts.features import SESSION, USER
from spark_jobs.recomputation import (
    SESSION_KEY,
    differences,
    session_rows,
    stream_events,
    used_rows,
    user_rows,
)
from spark_jobs.run import Run

EXAMPLES = 5
LIVE = "sim-%"
"""The visitors of `infra.load`."""


def check_decisions(run: Run) -> dict[str, Any]:
    """`parity`: decisions, distinct rows compared per view, rows that differ, and a few of them.

    Raises:
        SourceError: the decisions or the events have not been read yet.
    """
    decisions = _table(run, "bronze_decisions").dropDuplicates(["decision_id"]).persist()
    events = stream_events(_table(run, "bronze_events"), run.settings.session_horizon)
    sessions = used_rows(decisions, SESSION).persist()
    users = used_rows(decisions, USER).persist()
    wrong = [
        *_wrong(
            differences(sessions, session_rows(sessions, events), SESSION, (*SESSION_KEY, "events_seen"))
        ),
        *_wrong(
            differences(
                users,
                user_rows(_table(run, "gold_user_features")),
                USER,
                ("user_id", "version_0", "version_1"),
            )
        ),
    ]
    return {
        "parity": {
            "decisions": decisions.count(),
            "session_rows": sessions.count(),
            "user_rows": users.count(),
            "differences": len(wrong),
            "examples": wrong[:EXAMPLES],
        }
    }


def session_counts(run: Run) -> dict[str, Any]:
    """`session_counts`: `visitor/session` → events that count in the session view, of the load's visitors."""
    live = _table(run, "bronze_events").where(f"visitor_id LIKE '{LIVE}'")
    counted = stream_events(live, run.settings.session_horizon).groupBy("visitor_id", "session_id").count()
    return {"session_counts": {f"{row[0]}/{row[1]}": row[2] for row in counted.collect()}}


def _wrong(differing: DataFrame) -> list[dict[str, Any]]:
    return [row.asDict() for row in differing.collect()]


def _table(run: Run, name: str) -> DataFrame:
    found = run.read(name)
    if found is None:
        raise SourceError(f"{name} has not been written yet: run its job first")
    return found
