"""What a running job says of itself, over Flink's REST API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flink_jobs.rest import Cluster

PENDING, UNREADABLE, READ = "pendingRecords", "unreadable", "numRecordsInPerSecond"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The newest completed one: when it was begun (epoch ms), how long it took (ms), and the state in it (bytes)."""

    begun_ms: int
    took_ms: int
    state_bytes: int


@dataclass(frozen=True, slots=True)
class JobState:
    """A job now; what it does not say (yet) is None.

    Attributes:
        pending: records of `events` that it has not read.
        rate: events read per second.
        unreadable: records that were no events, since the job's tasks were started.
        restarts: since it was submitted.
    """

    job_id: str
    status: str
    pending: int | None
    rate: float | None
    unreadable: int | None
    restarts: int | None
    failed_checkpoints: int
    checkpoint: Checkpoint | None


def job_states(cluster: Cluster, name: str) -> list[JobState]:
    """Every job of this name that has not ended."""
    jobs = cluster.get("/jobs/overview")["jobs"]
    alive = [job for job in jobs if job["name"] == name and job["end-time"] < 0]
    return [_state_of(cluster, job["jid"], job["state"]) for job in alive]


def pending_records(cluster: Cluster, job_id: str) -> int | None:
    """How many records of `events` the job has not read; None before it knows."""
    pending = _of_source(cluster, job_id).get(PENDING)
    return None if pending is None else int(pending)


def _state_of(cluster: Cluster, job_id: str, status: str) -> JobState:
    source = _of_source(cluster, job_id)
    checkpoints = cluster.get(f"/jobs/{job_id}/checkpoints")
    newest = (checkpoints.get("latest") or {}).get("completed")
    restarts = {
        one["id"]: one["value"] for one in cluster.get_list(f"/jobs/{job_id}/metrics?get=numRestarts")
    }
    return JobState(
        job_id,
        status,
        _whole(source.get(PENDING)),
        source.get(READ),
        _whole(source.get(UNREADABLE)),
        _whole(restarts.get("numRestarts")),
        int((checkpoints.get("counts") or {}).get("failed", 0)),
        None if newest is None else _checkpoint(newest),
    )


def _checkpoint(told: dict[str, Any]) -> Checkpoint:
    return Checkpoint(told["trigger_timestamp"], told["end_to_end_duration"], told["state_size"])


def _of_source(cluster: Cluster, job_id: str) -> dict[str, float]:
    """The source's metrics over its subtasks, by the last part of their names."""
    vertices = cluster.get(f"/jobs/{job_id}").get("vertices", [])
    source = next((vertex["id"] for vertex in vertices if vertex["name"].startswith("Source:")), None)
    if source is None:
        return {}
    where = f"/jobs/{job_id}/vertices/{source}/subtasks/metrics"
    names = [one["id"] for one in cluster.get_list(where)]
    wanted = [name for name in names if name.rpartition(".")[2] in (PENDING, UNREADABLE) or name == READ]
    if not wanted:
        return {}
    found = cluster.get_list(f"{where}?get={','.join(wanted)}&agg=sum")
    return {one["id"].rpartition(".")[2]: one["sum"] for one in found}


def _whole(value: Any) -> int | None:
    return None if value is None else int(float(value))
