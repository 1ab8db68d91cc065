"""Airflow's configuration for one machine, as environment variables: loopback, SQLite, as few processes as it can.

A cluster keeps the DAGs and replaces this: its own executor, database, authentication and `BRAID_RUNNER`.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from contracts.settings import ROOT, Settings


def home(settings: Settings) -> Path:
    """Airflow's database, secret and task logs."""
    return settings.var / "airflow"


def task_logs(settings: Settings) -> Path:
    return home(settings) / "logs"


def url(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port('airflow')}"


def environment(settings: Settings) -> dict[str, str]:
    """What Airflow's processes need to see, the secret by its file's name only."""
    options = {
        "CORE": _core(settings),
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{home(settings) / 'airflow.db'}"},
        "API": {
            "HOST": settings.host,
            "PORT": str(settings.port("airflow")),
            "BASE_URL": url(settings),
            "WORKERS": "1",
        },
        "API_AUTH": {"JWT_SECRET_CMD": f"cat {_secret(settings)}"},
        # Nothing starts by the calendar on a laptop: runs are triggered or backfilled.
        "SCHEDULER": {"USE_JOB_SCHEDULE": "False", "SCHEDULER_IDLE_SLEEP_TIME": "0.3"},
        "DAG_PROCESSOR": {
            "PARSING_PROCESSES": "1",
            "REFRESH_INTERVAL": "30",
            "MIN_FILE_PROCESS_INTERVAL": "30",
        },
        # A task's end is seen within a second instead of five.
        "WORKERS": {"MIN_HEARTBEAT_INTERVAL": "1"},
        "LOGGING": {"BASE_LOG_FOLDER": str(task_logs(settings)), "COLORED_CONSOLE_LOG": "False"},
        "USAGE_DATA_COLLECTION": {"ENABLED": "False"},
    }
    named = {
        f"AIRFLOW__{section}__{key}": value
        for section, keys in options.items()
        for key, value in keys.items()
    }
    return {
        **named,
        "AIRFLOW_HOME": str(home(settings)),
        "PYTHONPATH": str(ROOT),
        "BRAID_SETTINGS": str(settings.handed_on),
        "BRAID_VAR": str(settings.var),
        "BRAID_PORT_BASE": str(settings.port_base),
        "BRAID_RUNNER": settings.runner,
        "NO_PROXY": settings.host,
    }


def _core(settings: Settings) -> dict[str, str]:
    return {
        "DAGS_FOLDER": str(ROOT / "dags"),
        "LOAD_EXAMPLES": "False",
        "HOSTNAME_CALLABLE": "socket.gethostname",
        "EXECUTOR": "LocalExecutor",
        "PARALLELISM": "2",
        "DAGS_ARE_PAUSED_AT_CREATION": "False",
        # Everyone on loopback is admin: there is no one else on a laptop, and no password to ask for.
        "SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "EXECUTION_API_SERVER_URL": f"{url(settings)}/execution/",
    }


def prepare(settings: Settings) -> None:
    """Make Airflow's folder, closed to others, and the secret that its processes sign with, once."""
    home(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = _secret(settings)
    if not secret.is_file():
        secret.touch(mode=0o600)
        secret.write_text(secrets.token_urlsafe(64))


def _secret(settings: Settings) -> Path:
    return home(settings) / "jwt.secret"
