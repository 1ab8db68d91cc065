"""The settings: one frozen value, built once in a `main` from the settings file and the environment, and handed on.

The defaults are the laptop's. What differs on a cluster stands in one TOML file that `BRAID_SETTINGS` names, key by key
in `contracts.settings_file`. Above it count `BRAID_VAR`, where state lives (default `var/` of the project), `BRAID_DATA`,
where the real data lies, `BRAID_PORT_BASE`, the first of the loopback ports, `BRAID_RUNNER`, how Airflow's tasks are run, `BRAID_POLICY`,
the shop's policy, `BRAID_REJECT_SHARE`, the share of refused records that stops a day, and `BRAID_STREAM_IDLE_SECONDS`, after how long a silent
partition no longer holds the stream's time back (a replay at many times the pace needs more than one).
`BRAID_ALARM_WEBHOOK`, a URL that alarms are posted to, is told by the environment alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from contracts.clock import FileClock
from contracts.settings_file import fields_of

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
    "flink_task_2",
    "spark_master",
    "spark_master_page",
    "spark_worker_1",
    "spark_worker_1_page",
    "spark_worker_2",
    "spark_worker_2_page",
    "stream_metrics",
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
    """Where everything is, and the declared durations.

    An address that is None is the local stack's, made of `host` and `port_base`; on a cluster `host` is where a process
    listens. `spark_master` is `local[N]`, `spark://host:port`, or `k8s`: then what submits the job says where it runs.
    """

    var: Path = ROOT / "var"
    data: Path | None = None
    policy: Path = ROOT / "contracts" / "policy.toml"
    """What may be shown where (`contracts.policy`)."""
    port_base: int = DEFAULT_PORT_BASE
    host: str = "127.0.0.1"
    runner: str = "process"
    kafka_address: str | None = None
    redis_address: str | None = None
    scorer_address: str | None = None
    scorer_workers: int = 1
    """Processes behind the scorer's port; on a cluster replicas do it."""
    shop: bool = True
    """Whether the scorer shows `/shop`, a page to try it out in; on a cluster it does not unless told to."""
    mlflow_address: str | None = None
    stream_address: str | None = None
    kafka_partitions: int = 4
    kafka_replication: int = 1
    stream_parallelism: int = 2
    stream_slots: int = 4
    """Of one TaskManager. The laptop's one holds the stream job and a job of parity, or the one that takes over, beside it."""
    stream_state: str = "hashmap"
    """Where Flink keeps state: `hashmap`, on the heap, or `rocksdb`, on disk, for more sessions than a heap holds."""
    stream_heap: str = "640m"
    """Of one TaskManager, for the job: about 3 KiB a live session on the heap."""
    spark_master: str = "local[2]"
    spark_driver_memory: str = "1500m"
    spark_executors: int = 2
    spark_executor_memory: str = "1g"
    spark_executor_cores: int = 1
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
        return self.kafka_address or f"{self.host}:{self.port('kafka')}"

    @property
    def redis_url(self) -> str:
        return self.redis_address or f"redis://{self.host}:{self.port('redis')}/0"

    @property
    def scorer_url(self) -> str:
        return self.scorer_address or f"http://{self.host}:{self.port('scorer')}"

    @property
    def flink_url(self) -> str:
        return self.stream_address or f"http://{self.host}:{self.port('flink_rest')}"

    @property
    def run(self) -> Path:
        """Pid files, sockets, the replay's clock."""
        return self.var / "run"

    @property
    def logs(self) -> Path:
        return self.var / "logs"

    @property
    def evaluation(self) -> Settings:
        """The same settings over the lake that the evaluation reads, apart from what serves."""
        return replace(self, var=self.var / "evaluation")

    @property
    def reports(self) -> Path:
        return self.var / "reports"

    @property
    def lake(self) -> Path:
        """The Delta tables, a folder each."""
        return self.var / "lake"

    @property
    def checkpoints(self) -> Path:
        """Flink's checkpoints: a folder per job's name, in it one per job, in that one per checkpoint."""
        return self.var / "flink" / "checkpoints"

    @property
    def days(self) -> Path:
        """Day files that the adapter command wrote: `<source>/{events,catalog,rejected}/YYYY-MM-DD.jsonl.gz`."""
        return self.var / "days"

    @property
    def mlflow_uri(self) -> str:
        return self.mlflow_address or f"sqlite:///{self.var / 'mlflow' / 'mlflow.db'}"

    @property
    def serving(self) -> Path:
        """Published snapshots: `<version>/` folders and `current.json`, which names the one that serves."""
        return self.var / "serving"

    @property
    def exports(self) -> Path:
        return self.var / "exports"

    @property
    def handed_on(self) -> Path:
        """The settings file of the local stack's processes, written from these settings."""
        return self.run / "settings.toml"

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
    """Build the settings from the file that `BRAID_SETTINGS` names and the environment.

    Raises:
        SettingsError: a key or a value cannot be used.
    """
    given = fields_of(os.environ if environ is None else environ)
    # Without real data the caller runs on the simulator.
    beside = ROOT.parent / "shared" / "data"
    return Settings(**{"data": beside if beside.is_dir() else None, **given})
