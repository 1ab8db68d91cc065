"""Starts DAG runs through Airflow's REST API, waits for them, and tells what became of each task."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from contracts.errors import BraidError
from contracts.settings import Settings
from infra.airflow import settings as airflow

ENDED = frozenset({"success", "failed"})
POLL_SECONDS = 0.5
REQUEST_SECONDS = 30.0


class AirflowError(BraidError):
    """Airflow does not answer, refuses the request, or a run takes too long."""


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of a run: `seconds` of its last try; `log` is that try's log (JSON lines)."""

    state: str
    seconds: float
    tries: int
    log: Path

    @property
    def error(self) -> str:
        """What the task failed of, as its log says; empty when it says nothing."""
        return _error_in(self.log) if self.log.is_file() else ""


@dataclass(frozen=True, slots=True)
class DagRun:
    """One ended run: its state, and its tasks in the order they ran in."""

    dag_id: str
    run_id: str
    cut: date
    state: str
    seconds: float
    tasks: dict[str, TaskRun]

    @property
    def succeeded(self) -> bool:
        return self.state == "success"


def run_daily(settings: Settings, cut: date, limit_seconds: float = 3600) -> DagRun:
    """Run `daily` for one partition date and wait for its end; a failed run is returned, not raised.

    Raises:
        AirflowError: Airflow is not up, refuses the run, or the run did not end within the limit.
    """
    return _run(settings, "daily", cut, {"partition_key": cut.isoformat()}, limit_seconds)


def run_train(settings: Settings, cut: date, limit_seconds: float = 7200) -> DagRun:
    """Run `train` on one cut and wait for its end; raises as `run_daily`."""
    return _run(settings, "train", cut, {"conf": {"cut": cut.isoformat()}}, limit_seconds)


def _run(settings: Settings, dag_id: str, cut: date, body: dict[str, Any], limit_seconds: float) -> DagRun:
    base = f"{airflow.url(settings)}/api/v2/dags/{dag_id}/dagRuns"
    with httpx.Client(timeout=REQUEST_SECONDS, trust_env=False) as http:
        run_id = _call(http, "POST", base, {"logical_date": None, **body})["dag_run_id"]
        run = _wait(http, f"{base}/{run_id}", limit_seconds)
        tasks = _call(http, "GET", f"{base}/{run_id}/taskInstances")["task_instances"]
    logs = airflow.task_logs(settings) / f"dag_id={dag_id}" / f"run_id={run_id}"
    ordered = sorted(tasks, key=lambda task: (task["start_date"] is None, task["start_date"] or ""))
    states = {task["task_id"]: _task(task, logs) for task in ordered}
    return DagRun(dag_id, run_id, cut, run["state"], run["duration"] or 0.0, states)


def _wait(http: httpx.Client, run_url: str, limit_seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + limit_seconds
    while (run := _call(http, "GET", run_url))["state"] not in ENDED:
        if time.monotonic() > deadline:
            raise AirflowError(f"{run_url} is still {run['state']} after {limit_seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    return run


def _task(task: dict[str, Any], logs: Path) -> TaskRun:
    tries = task["try_number"]
    log = logs / f"task_id={task['task_id']}" / f"attempt={tries}.log"
    return TaskRun(task["state"] or "none", task["duration"] or 0.0, tries, log)


def _call(
    http: httpx.Client, method: str, address: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    try:
        answer = http.request(method, address, json=body)
    except httpx.TransportError as error:
        raise AirflowError(
            f"{address} does not answer ({error}); start Airflow's units of the stack"
        ) from error
    if answer.is_error:
        raise AirflowError(f"{method} {address}: {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


def _error_in(log: Path) -> str:
    """The message of the last exception in a task's log; lines that are not Airflow's own are passed over."""
    lines = map(_log_line, log.read_text(errors="replace").splitlines())
    errors = [line for line in lines if line.get("error_detail")]
    return str(errors[-1]["error_detail"][0]["exc_value"]) if errors else ""


def _log_line(text: str) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
