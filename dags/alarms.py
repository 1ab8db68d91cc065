"""What a failed task tells: an alarm of `contracts.alarms`. Airflow is not imported, so this is tested without it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.alarms import Alarm, raise_alarm
from contracts.clock import WallClock, to_rfc3339
from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import from_environment

ERROR_CHARACTERS = 2000
"""An alarm holds the end of the error; the task's log has all of it."""


def alarm_of(context: Mapping[str, Any], at: datetime) -> Alarm:
    """The alarm of a task that failed for good, from the context that Airflow hands to its callback."""
    instance, run = context.get("task_instance"), context.get("dag_run")
    return Alarm(
        source="airflow",
        at=to_rfc3339(at),
        error=str(context.get("exception") or "no exception is known")[-ERROR_CHARACTERS:],
        cut=_cut(context),
        dag=getattr(instance, "dag_id", None),
        task=getattr(instance, "task_id", None),
        run_id=getattr(run, "run_id", None),
    )


def alarm_on_failure(context: Any) -> None:
    """The callback of every task: keeps the alarm, and posts it where `BRAID_ALARM_WEBHOOK` says."""
    raise_alarm(from_environment(), alarm_of(context, WallClock().now()), RoomLog("dags"))


def _cut(context: Mapping[str, Any]) -> str | None:
    """The cut that the task itself takes from its context; None where it has none."""
    cut_from = getattr(context.get("task"), "cut_from", None)
    if cut_from is None:
        return None
    try:
        return str(cut_from(context))
    except (BraidError, KeyError):
        return None
