"""Bring the stream job to RUNNING: keep it if it is there, else start it from its newest checkpoint.

A job's id is its query's fingerprint followed by the time of submission, so that checkpoints say which query
they belong to: an unchanged query goes on from them, a changed one starts from the beginning of `events`, beside
nothing (the old job is cancelled). Row versions make the rows it writes again harmless.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flink_jobs.job import ENTRY_CLASS, Job
from flink_jobs.rest import Cluster, ClusterError

ALIVE = frozenset({"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "RECONCILING"})
LEAVING = frozenset({"CANCELLING", "FAILING"})
LIMIT_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Running:
    """The running job, and what it goes on from: `kept`, a checkpoint's folder, or `the beginning`."""

    job_id: str
    origin: str


def ensure_running(cluster: Cluster, job: Job, jar: Path, checkpoints: Path, now_ms: int) -> Running:
    """Return the running job; it is started if need be.

    Args:
        checkpoints: the folder that holds a folder per job.
        now_ms: part of the id of a new job.

    Raises:
        ClusterError: the cluster refuses the job, or it does not run within two minutes.
    """
    job_id, origin = _kept(cluster, job), "kept"
    if job_id is None:
        checkpoint = newest_checkpoint(checkpoints, job.fingerprint)
        job_id, origin = _start(cluster, job, jar, checkpoint, now_ms), str(checkpoint or "the beginning")
    _wait(lambda: _runs(cluster, job_id), f"job {job_id} does not run: see {cluster.url}/#/job/{job_id}")
    return Running(job_id, origin)


def newest_checkpoint(checkpoints: Path, fingerprint: str) -> Path | None:
    """The newest completed checkpoint of any job with this query."""
    complete = checkpoints.glob(f"{fingerprint}*/chk-*/_metadata")
    newest = max(complete, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent if newest else None


def stop(cluster: Cluster, name: str) -> None:
    """Cancel every job called `name`; its checkpoints stay."""
    for job_id in _jobs(cluster, name, ALIVE):
        cluster.cancel(job_id)
    _wait(lambda: not _jobs(cluster, name, ALIVE | LEAVING), f"{name} is still being cancelled")


def _kept(cluster: Cluster, job: Job) -> str | None:
    """The job that is there and has the same query; one with another query is cancelled."""
    alive = _jobs(cluster, job.name, ALIVE)
    if len(alive) == 1 and alive[0].startswith(job.fingerprint):
        return alive[0]
    stop(cluster, job.name)
    return None


def _start(cluster: Cluster, job: Job, jar: Path, checkpoint: Path | None, now_ms: int) -> str:
    job_id = f"{job.fingerprint}{now_ms:016x}"
    jar_id = cluster.upload(jar)
    body: dict[str, object] = {"entryClass": ENTRY_CLASS, "programArgsList": job.arguments, "jobId": job_id}
    if checkpoint is not None:
        body |= {"savepointPath": checkpoint.as_uri(), "claimMode": "NO_CLAIM"}
    try:
        started = cluster.post(f"/jars/{jar_id}/run", body)
    finally:
        cluster.delete_jar(jar_id)
    return str(started["jobid"])


def _runs(cluster: Cluster, job_id: str) -> bool:
    told = cluster.get(f"/jobs/{job_id}")
    if told["state"] in {"FAILED", "CANCELED"}:
        cause = cluster.get(f"/jobs/{job_id}/exceptions").get("root-exception") or "no cause told"
        raise ClusterError(f"job {job_id} is {told['state']}: {str(cause)[:2000]}")
    return all(vertex["status"] == "RUNNING" for vertex in told["vertices"]) and told["state"] == "RUNNING"


def _jobs(cluster: Cluster, name: str, states: frozenset[str]) -> list[str]:
    jobs = cluster.get("/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["name"] == name and job["state"] in states]


def _wait(done: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not done():
        if time.monotonic() > end:
            raise ClusterError(otherwise)
        time.sleep(POLL_SECONDS)
