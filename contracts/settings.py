"""The settings: one frozen value, built once in a `main` from the environment and handed on.

`BRAID_VAR` is where state lives (default `var/` of the project), `BRAID_DATA` where the real data lies,
`BRAID_PORT_BASE` the first of the loopback ports, `BRAID_RUNNER` how Airflow's tasks are run, `BRAID_REJECT_SHARE` the share
of refused records that stops a day, `BRAID_ALARM_WEBHOOK` a URL that alarms are posted to, `BRAID_STREAM_IDLE_SECONDS` after
how long a silent partition no longer holds the stream's time back (a replay at many times the pace needs more than one).
What differs between a laptop and a cluster is this file's environment, nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from contracts.clock import FileClock
from contracts.errors import SettingsError

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PORT_BASE = 18700
DEFAULT_REJECT_SHARE = 0.3
DEFAULT_STREAM_IDLE_SECONDS = 1
SESSION_MAX_EVENTS = 1000
"""A session, or a device's day, with more events is a bot's."""
PORTS = (
    "redis",
    "kafka",
    "kafka_controller",
    "flink_rest",
    "flink_rpc",
    "flink_task",
    "scorer",
    "gateway_metrics",
    "writer_metrics",
    "spark_driver",
    "airflow",
    "airflow_triggerer",
    "airflow_worker",
    "supervisor",
)


@dataclass(frozen=True, slots=True)
class Topics:
    """Kafka's topics. Keys: events by visitor_id, catalog by item_id, online_features and item_trends by view and entity."""

    events_raw: str = "events_raw"
    events: str = "events"
    rejected_events: str = "rejected_events"
    catalog: str = "catalog"
    online_features: str = "online_features"
    item_trends: str = "item_trends"
    decisions: str = "decisions"

    @property
    def compacted(self) -> frozenset[str]:
        return frozenset({self.catalog, self.online_features, self.item_trends})


TOPICS = Topics()


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything is, and the declared durations."""

    var: Path = ROOT / "var"
    data: Path | None = None
    port_base: int = DEFAULT_PORT_BASE
    host: str = "127.0.0.1"
    runner: str = "process"
    kafka_partitions: int = 4
    publish_delay: timedelta = timedelta(hours=2)
    session_horizon: timedelta = timedelta(hours=24)
    late_horizon: timedelta = timedelta(days=7)
    trend_disorder: timedelta = timedelta(seconds=10)
    stream_idle: timedelta = timedelta(seconds=DEFAULT_STREAM_IDLE_SECONDS)
    reject_share: float = DEFAULT_REJECT_SHARE
    """Above this share of records refused at the door a day stops at the gate."""
    alarm_webhook: str | None = None
    feast_project: str = "braid"

    def port(self, name: str) -> int:
        """The loopback port of one of `PORTS`."""
        return self.port_base + PORTS.index(name)

    @property
    def kafka_bootstrap(self) -> str:
        return f"{self.host}:{self.port('kafka')}"

    @property
    def redis_url(self) -> str:
        return f"redis://{self.host}:{self.port('redis')}/0"

    @property
    def scorer_url(self) -> str:
        return f"http://{self.host}:{self.port('scorer')}"

    @property
    def flink_url(self) -> str:
        return f"http://{self.host}:{self.port('flink_rest')}"

    @property
    def run(self) -> Path:
        """Pid files, sockets, the replay's clock."""
        return self.var / "run"

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def reports(self) -> Path:
        return self.var / "reports"

    @property
    def lake(self) -> Path:
        """The Delta tables, a folder each."""
        return self.var / "lake"

    @property
    def days(self) -> Path:
        """Day files that the adapter command wrote: `<source>/{events,catalog,rejected}/YYYY-MM-DD.jsonl.gz`."""
        return self.var / "days"

    @property
    def mlflow_uri(self) -> str:
        return f"sqlite:///{self.var / 'mlflow' / 'mlflow.db'}"

    @property
    def serving(self) -> Path:
        """Published snapshots: `<version>/` folders and `current.json`, which names the one that serves."""
        return self.var / "serving"

    @property
    def exports(self) -> Path:
        return self.var / "exports"

    @property
    def clock_file(self) -> Path:
        return self.run / "clock.json"

    @property
    def spark_driver(self) -> Path:
        """Where a warm Spark driver says how to borrow it."""
        return self.run / "spark-driver.json"

    def clock(self) -> FileClock:
        return FileClock(self.clock_file)


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from environment variables.

    Raises:
        SettingsError: a variable's value cannot be used.
    """
    env = os.environ if environ is None else environ
    base = env.get("BRAID_PORT_BASE", str(DEFAULT_PORT_BASE))
    if not base.isdigit() or not 1024 <= int(base) <= 65000:
        raise SettingsError(f"BRAID_PORT_BASE={base!r}: give a port between 1024 and 65000")
    return Settings(
        var=Path(env.get("BRAID_VAR", str(ROOT / "var"))).resolve(),
        data=_data_folder(env),
        port_base=int(base),
        runner=env.get("BRAID_RUNNER", "process"),
        reject_share=_share(env, "BRAID_REJECT_SHARE", DEFAULT_REJECT_SHARE),
        alarm_webhook=_url(env, "BRAID_ALARM_WEBHOOK"),
        stream_idle=_seconds(env, "BRAID_STREAM_IDLE_SECONDS", DEFAULT_STREAM_IDLE_SECONDS),
    )


def _share(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name)
    if text is None:
        return default
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise SettingsError(f"{name}={text!r}: give a share above 0 and at most 1")
    return share


def _seconds(env: Mapping[str, str], name: str, default: int) -> timedelta:
    text = env.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= 86_400:
        raise SettingsError(f"{name}={text!r}: give whole seconds from 1 to 86400")
    return timedelta(seconds=int(text))


def _url(env: Mapping[str, str], name: str) -> str | None:
    url = env.get(name)
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(f"{name}={url!r}: give an http or https URL")
    return url or None


def _data_folder(env: Mapping[str, str]) -> Path | None:
    """`BRAID_DATA`, else `../shared/data` beside the project, else None: the caller runs on the simulator."""
    named = env.get("BRAID_DATA")
    if named is not None:
        return Path(named).resolve()
    beside = ROOT.parent / "shared" / "data"
    return beside if beside.is_dir() else None
