"""What all DAGs share: owner, retries, time limits, and whom a failure tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset

from contracts.tables import table_named
from dags.alarms import alarm_on_failure

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "braid",
    "retries": 2,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
    # A backfill has its own limit of runs; the same step of two cuts must not write side by side.
    "max_active_tis_per_dag": 1,
    # Called when the task is not tried again.
    "on_failure_callback": alarm_on_failure,
}
DAG_DEFAULTS: dict[str, Any] = {
    "default_args": TASK_DEFAULTS,
    "catchup": False,
    "max_active_runs": 1,
    "dagrun_timeout": timedelta(hours=6),
}


def table_assets(*names: str) -> list[Asset]:
    """The assets of declared tables; KeyError names one that is not declared."""
    return [Asset(table_named(name).name) for name in names]
