"""The job beside its SQL: its name, its cluster options, its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.features import ITEM, USER, View
from contracts.settings import Settings
from flink_jobs.sql import HOUR, STREAM_VIEWS, Query, Stream, render

JOB_NAME = "braid-stream"
EVERY_VIEW = (*STREAM_VIEWS, USER, ITEM)
ENTRY_CLASS = "braid.flink.SqlJob"


@dataclass(frozen=True, slots=True)
class Job:
    """What is submitted."""

    name: str
    query: Query
    options: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SQL: state is only taken over from a job with the same query."""
        views = (spec for _, spec in self.query.views)
        text = "\n".join((*views, *self.query.definitions, *self.query.inserts))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def arguments(self) -> list[str]:
        """The arguments of `braid.flink.SqlJob`."""
        pairs = [("--set", f"{key}={value}") for key, value in self.options.items()]
        pairs += [("--view", f"{name}={spec}") for name, spec in self.query.views]
        pairs += [("--sql", statement) for statement in self.query.definitions]
        pairs += [("--insert", statement) for statement in self.query.inserts]
        return [word for pair in pairs for word in pair]


def stream_job(settings: Settings, stream: Stream | None = None, name: str = JOB_NAME) -> Job:
    """The stream strand as one job; `stream` defaults to the stack's own topics."""
    query = render(settings, stream or Stream(settings.kafka_bootstrap))
    return Job(name, query, _options(settings, name))


def parity_job(
    settings: Settings, stream: Stream, name: str, cut_end_micros: int, views: Sequence[View] = EVERY_VIEW
) -> Job:
    """Views with their Flink expressions, those of the batch strand as of one cut: Flink held against Spark."""
    query = render(settings, stream, views, cut_end_micros)
    return Job(name, query, _options(settings, name))


def _options(settings: Settings, name: str) -> dict[str, str]:
    return {
        "pipeline.name": name,
        "parallelism.default": str(settings.stream_parallelism),
        "execution.checkpointing.dir": checkpoints_folder(settings, name).as_uri(),
        # A heap snapshot is written whole (RocksDB's is not), so the interval is what a second of replay costs against
        # writing all state; the sinks do not wait for it.
        "execution.checkpointing.interval": "10 s",
        "execution.checkpointing.min-pause": "5 s",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        # A failed checkpoint is more to replay after a crash, no reason for a restart.
        "execution.checkpointing.tolerable-failed-checkpoints": "1000",
        "state.backend.type": settings.stream_state,
        "execution.checkpointing.incremental": "true",
        # The TaskManager may be away for as long as it takes somebody to bring it back.
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "2147483647",
        "restart-strategy.fixed-delay.delay": "1 s",
        # How long an event_id is known; the two aggregates override it by STATE_TTL.
        "table.exec.state.ttl": f"{2 * settings.late_horizon // HOUR} h",
        # A process table function makes mini-batches wait for watermarks, and there are none: the sinks keep the
        # newest row per key of 50 ms instead.
        "table.exec.mini-batch.enabled": "false",
        # Rows are handed on inside a chain as they are: no function of ours keeps one.
        "pipeline.object-reuse": "true",
        # A record waits so long for others to fill a network buffer, once per exchange on its way; 100 ms by default.
        "execution.buffer-timeout.interval": "5 ms",
        # Counted where a window is: rows held back on the way would come after a silence's end, behind the watermark of
        # the subtasks that had none.
        "table.optimizer.agg-phase-strategy": "ONE_PHASE",
        "table.exec.source.idle-timeout": f"{int(settings.stream_idle.total_seconds())} s",
        "table.local-time-zone": "UTC",
        # A foreign record without a key is dropped; it must not stop the job.
        "table.exec.sink.not-null-enforcer": "DROP",
    }


def checkpoints_folder(settings: Settings, name: str = JOB_NAME) -> Path:
    """Where the cluster writes the checkpoints of jobs of this name: a folder per job, in it one per checkpoint."""
    return settings.checkpoints / name
