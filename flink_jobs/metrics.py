"""The stream job's metrics for Prometheus: asked of Flink when they are scraped, one declared list."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.state import JobState, job_states

MILLIS = 1000
Value = Callable[[JobState, float], float | None]
GAUGES: tuple[tuple[str, str, Value], ...] = (
    ("lag", "Records of events that the job has not read", lambda job, _: job.pending),
    ("rate", "Events read per second", lambda job, _: job.rate),
    (
        "checkpoint_age_seconds",
        "Since the newest completed checkpoint was begun: what a crash now would repeat",
        lambda job, now: None if job.checkpoint is None else max(0.0, now - job.checkpoint.begun_ms / MILLIS),
    ),
    (
        "checkpoint_seconds",
        "How long the newest completed checkpoint took",
        lambda job, _: None if job.checkpoint is None else job.checkpoint.took_ms / MILLIS,
    ),
    (
        "state_bytes",
        "State in the newest completed checkpoint",
        lambda job, _: None if job.checkpoint is None else job.checkpoint.state_bytes,
    ),
    ("running", "1 while the job runs", lambda job, _: float(job.status == "RUNNING")),
)
COUNTERS: tuple[tuple[str, str, Value], ...] = (
    ("unreadable", "Records of events that are none", lambda job, _: job.unreadable),
    ("restarts", "Restarts since the job was submitted", lambda job, _: job.restarts),
    ("failed_checkpoints", "Checkpoints that failed", lambda job, _: job.failed_checkpoints),
)


class StreamCollector(Collector):
    """Metrics `braid_stream_…` of every living job of a name; `braid_stream_up` is 0 where Flink does not answer.

    A value that Flink does not give is left out, so that nobody takes it for a zero.
    """

    def __init__(self, cluster: Cluster, name: str, now: Callable[[], float] = time.time) -> None:
        self._cluster = cluster
        self._name = name
        self._now = now

    def collect(self) -> Iterator[Metric]:
        try:
            jobs = job_states(self._cluster, self._name)
        except ClusterError:
            yield GaugeMetricFamily("braid_stream_up", "1 when Flink answers", value=0)
            return
        yield GaugeMetricFamily("braid_stream_up", "1 when Flink answers", value=1)
        now = self._now()
        for families, make in ((GAUGES, GaugeMetricFamily), (COUNTERS, CounterMetricFamily)):
            for name, text, value in families:
                family = make(f"braid_stream_{name}", text, labels=["job"])
                for job in jobs:
                    if (found := value(job, now)) is not None:
                        family.add_metric([job.job_id], found)
                yield family
