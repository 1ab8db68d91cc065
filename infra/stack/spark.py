"""A Spark standalone cluster on demand: a master and two workers from PySpark's own jars, on loopback.

`Settings.spark_master` says whether jobs run on it; the workers' executors find the project where the driver does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from contracts.settings import ROOT, Settings
from infra.stack.health import http_json
from infra.stack.unit import Unit

MASTER = "org.apache.spark.deploy.master.Master"
WORKER = "org.apache.spark.deploy.worker.Worker"
WORKERS = (1, 2)
WORKER_CORES = 1
DAEMON_HEAP = "256m"
LIMIT_SECONDS = 120


def spark_units(settings: Settings, root: Path = ROOT) -> list[Unit]:
    """The master and its workers."""
    return [_master(settings), *(_worker(settings, number, root) for number in WORKERS)]


def master_url(settings: Settings) -> str:
    """The `spark_master` of a job that runs on this cluster."""
    return f"spark://{settings.host}:{settings.port('spark_master')}"


def master_state(settings: Settings) -> dict[str, Any]:
    """What the master tells of its workers and applications; nothing while it does not answer."""
    return http_json(f"http://{settings.host}:{settings.port('spark_master_page')}/json/") or {}


def worker_state(settings: Settings, number: int) -> dict[str, Any]:
    """What a worker tells of its executors, running and finished."""
    return http_json(f"http://{settings.host}:{settings.port(f'spark_worker_{number}_page')}/json/") or {}


def _master(settings: Settings) -> Unit:
    return Unit(
        name="spark-master",
        command=_daemon(settings, MASTER, "spark_master"),
        healthy=lambda: master_state(settings).get("status") == "ALIVE",
        ports=("spark_master", "spark_master_page"),
        env=_environment(settings),
        limit_seconds=LIMIT_SECONDS,
    )


def _worker(settings: Settings, number: int, root: Path) -> Unit:
    name, work = f"spark_worker_{number}", settings.var / "spark" / f"worker-{number}"
    options = (
        "--cores",
        str(WORKER_CORES),
        "--memory",
        settings.spark_executor_memory,
        "--work-dir",
        str(work),
    )
    return Unit(
        name=f"spark-worker-{number}",
        command=(*_daemon(settings, WORKER, name), *options, master_url(settings)),
        healthy=lambda: _registered(settings, settings.port(name)),
        ports=(name, f"{name}_page"),
        depends_on=("spark-master",),
        env=_environment(settings),
        needs=(root / "jars" / "spark",),
        prepare=lambda: work.mkdir(parents=True, exist_ok=True),
        limit_seconds=LIMIT_SECONDS,
    )


def _daemon(settings: Settings, main: str, port: str) -> tuple[str, ...]:
    launcher = str(pyspark_home() / "bin" / "spark-class")
    where = ("--host", settings.host, "--port", str(settings.port(port)))
    return (launcher, main, *where, "--webui-port", str(settings.port(f"{port}_page")))


def _environment(settings: Settings) -> dict[str, str]:
    """A worker gives it to its executors as well."""
    return {
        "SPARK_HOME": str(pyspark_home()),
        "SPARK_LOCAL_IP": settings.host,
        "SPARK_DAEMON_MEMORY": DAEMON_HEAP,
        # For the reason that the laptop's driver has it (contracts.engines): the jobs here are short.
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",
    }


def _registered(settings: Settings, port: int) -> bool:
    workers = master_state(settings).get("workers", [])
    return any(worker["port"] == port and worker["state"] == "ALIVE" for worker in workers)


def pyspark_home() -> Path:
    """Where the pyspark wheel lies; it carries a whole Spark."""
    found = importlib.util.find_spec("pyspark")
    return Path(found.origin).parent if found and found.origin else Path("pyspark")
