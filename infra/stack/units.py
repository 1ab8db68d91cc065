"""The units of the stack: names, order and environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from contracts.settings import ROOT, Settings
from contracts.settings_file import text_of
from infra.stack.broker import broker_unit
from infra.stack.flink import flink_units
from infra.stack.health import file_and_port, http_ok, redis_answers
from infra.stack.spark import spark_units
from infra.stack.unit import Unit

DEFAULT = (
    "redis",
    "kafka",
    "flink-jobmanager",
    "flink-taskmanager",
    "flink-job",
    "stream-metrics",
    "feature-writer",
    "gateway",
    "scorer",
)


def every_name() -> tuple[str, ...]:
    """The names of all units, those on demand included."""
    return tuple(all_units(Settings(), airflow=True))


def all_units(settings: Settings, root: Path = ROOT, *, airflow: bool = False) -> dict[str, Unit]:
    """Every unit by name: the default ones, those on demand (Spark's, a second TaskManager), and Airflow's when asked for."""
    units = [
        redis_unit(settings),
        broker_unit(settings, root),
        *flink_units(settings, root),
        *room_units(settings),
        *spark_units(settings, root),
    ]
    if airflow:
        from infra.airflow.units import units as airflow_units

        units += airflow_units(settings)
    return {unit.name: unit for unit in units}


def environment(settings: Settings) -> dict[str, str]:
    """What every process of the stack sees, whatever shell started it; the settings are written to a file for them."""
    hand_on(settings)
    paths = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    given = {"BRAID_DATA": settings.data, "BRAID_ALARM_WEBHOOK": settings.alarm_webhook}
    return {
        "BRAID_SETTINGS": str(settings.handed_on),
        "BRAID_VAR": str(settings.var),
        "BRAID_PORT_BASE": str(settings.port_base),
        "BRAID_RUNNER": settings.runner,
        "BRAID_STREAM_IDLE_SECONDS": str(int(settings.stream_idle.total_seconds())),
        "BRAID_REJECT_SHARE": str(settings.reject_share),
        **{name: str(value) for name, value in given.items() if value is not None},
        "PATH": os.pathsep.join(paths),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_USE_LEGACY_KERAS": "1",
        "TZ": "UTC",
    }


def hand_on(settings: Settings) -> None:
    """Write the settings file of the stack's processes, complete at once."""
    settings.run.mkdir(parents=True, exist_ok=True)
    fresh = settings.handed_on.with_suffix(f".{os.getpid()}")
    fresh.write_text(text_of(settings))
    fresh.replace(settings.handed_on)


def redis_unit(settings: Settings) -> Unit:
    """The online store; every write is kept, fsync once a second."""
    folder = settings.var / "redis"
    options: Mapping[str, str] = {
        "--port": str(settings.port("redis")),
        "--bind": settings.host,
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--daemonize": "no",
        # A title would overwrite the environment, which is how an orphan of this stack is known.
        "--set-proc-title": "no",
        "--maxmemory-policy": "noeviction",
    }
    return Unit(
        name="redis",
        command=("redis-server", *(part for option in options.items() for part in option)),
        healthy=redis_answers(settings.host, settings.port("redis")),
        ports=("redis",),
        prepare=lambda: folder.mkdir(parents=True, exist_ok=True),
    )


def room_units(settings: Settings) -> list[Unit]:
    """The project's own processes."""
    metrics = f"http://{settings.host}:{{}}/metrics"
    return [
        _python(
            "feature-writer",
            ("feature_repo", "writer"),
            http_ok(metrics.format(settings.port("writer_metrics"))),
            depends_on=("redis", "kafka"),
            ports=("writer_metrics",),
        ),
        _python(
            "stream-metrics",
            ("flink_jobs", "metrics"),
            http_ok(metrics.format(settings.port("stream_metrics"))),
            depends_on=("flink-jobmanager",),
            ports=("stream_metrics",),
        ),
        _python(
            "gateway",
            ("infra.gateway",),
            http_ok(metrics.format(settings.port("gateway_metrics"))),
            depends_on=("kafka",),
            ports=("gateway_metrics",),
        ),
        _python(
            "scorer",
            ("scorer",),
            http_ok(f"{settings.scorer_url}/healthz"),
            depends_on=("redis", "kafka"),
            ports=("scorer",),
        ),
        _python(
            "spark-driver",
            ("spark_jobs.driver",),
            file_and_port(settings.spark_driver, settings.host, settings.port("spark_driver")),
            ports=("spark_driver",),
            needs=(ROOT / "jars" / "spark",),
            prepare=lambda: settings.spark_driver.unlink(missing_ok=True),
        ),
    ]


def _python(name: str, arguments: tuple[str, ...], healthy, **more) -> Unit:  # type: ignore[no-untyped-def]
    return Unit(name=name, command=(sys.executable, "-m", *arguments), healthy=healthy, **more)
