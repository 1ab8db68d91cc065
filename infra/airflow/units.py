"""Airflow as units of the local stack: database, API server, scheduler (runs the tasks), DAG processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from contracts.settings import ROOT, Settings
from infra.airflow import settings as airflow
from infra.stack.health import http_json, http_ok
from infra.stack.unit import Unit

LIMIT_SECONDS = 300
"""How long a unit may take to start; 17 s on a quiet machine, minutes on a busy one."""
DAGS = frozenset({"daily", "train"})
UNITS = ("airflow-db", "airflow-api", "airflow-scheduler", "airflow-dag-processor")


def units(settings: Settings) -> list[Unit]:
    """The four units; starting `airflow-scheduler` and `airflow-dag-processor` starts the others."""
    database, api, scheduler, processor = UNITS
    binary = str(_binary())
    migrate = ("/bin/sh", "-c", f"'{binary}' db migrate && touch '{_migrated(settings)}'")
    # The scheduler's log server is left out: the API server reads the task logs from the same disk.
    run_tasks = (binary, "scheduler", "--skip-serve-logs")
    reachable = http_ok(f"{airflow.url(settings)}/api/v2/version")
    unit = partial(_unit, settings)
    return [
        replace(unit(database, migrate, _migrated(settings).is_file), once=True),
        replace(unit(api, (binary, "api-server"), reachable), depends_on=(database,), ports=("airflow",)),
        replace(unit(scheduler, run_tasks, _scheduler_alive(settings)), depends_on=(api,)),
        replace(unit(processor, (binary, "dag-processor"), _dags_known(settings)), depends_on=(api,)),
    ]


def _unit(settings: Settings, name: str, command: tuple[str, ...], healthy: Callable[[], bool]) -> Unit:
    return Unit(
        name=name,
        command=command,
        healthy=healthy,
        env=airflow.environment(settings),
        needs=(_binary(),),
        prepare=partial(airflow.prepare, settings),
        limit_seconds=LIMIT_SECONDS,
    )


def _binary() -> Path:
    return ROOT / ".venv-airflow" / "bin" / "airflow"


def _migrated(settings: Settings) -> Path:
    """Says that the database fits the installed Airflow; another version migrates again."""
    packages = ROOT / ".venv-airflow" / "lib" / "python3.11" / "site-packages"
    version = next((path.stem for path in packages.glob("apache_airflow-*.dist-info")), "none")
    return airflow.home(settings) / f"{version}.migrated"


def _scheduler_alive(settings: Settings) -> Callable[[], bool]:
    def check() -> bool:
        health = http_json(f"{airflow.url(settings)}/api/v2/monitor/health") or {}
        return bool(health.get("scheduler", {}).get("status") == "healthy")

    return check


def _dags_known(settings: Settings) -> Callable[[], bool]:
    """True when the processor is alive, every DAG is registered and none fails to import."""

    def check() -> bool:
        api = f"{airflow.url(settings)}/api/v2"
        health = http_json(f"{api}/monitor/health") or {}
        known = http_json(f"{api}/dags") or {}
        errors = http_json(f"{api}/importErrors") or {"total_entries": 1}
        return bool(
            health.get("dag_processor", {}).get("status") == "healthy"
            and {dag["dag_id"] for dag in known.get("dags", [])} >= DAGS
            and errors["total_entries"] == 0
        )

    return check
