"""Bring the stream job to RUNNING, change it while it runs, and stop it.

A job's id is its query's fingerprint followed by the time of submission, so that checkpoints say which query they belong to.
A job of the same query stays, or goes on from the newest state. Another query cannot read that state:

```
old query   ──────────────────────────────────────────┤ stopped when the new one has caught up
new query        ├─ from the beginning of `events` ─ ─ ┼──────────────────────►
```

Both write the same rows' keys. While the new job repeats history, its rows are older than those the store holds and lose; its
first row that is not older has seen every event that the old one saw. Of two rows of one version that of the later job stays.

What is no longer gone on from is removed: another query's state, once this one runs alone (whoever goes back to that query begins
anew: keys that were idle since would keep the later query's values), and this query's older states, once the job has one of its own.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flink_jobs.job import ENTRY_CLASS, Job
from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.state import pending_records

ALIVE = frozenset({"INITIALIZING", "CREATED", "RUNNING", "RESTARTING", "RECONCILING"})
LEAVING = frozenset({"CANCELLING", "FAILING"})
LIMIT_SECONDS = 120.0
POLL_SECONDS = 0.2
CAUGHT_UP = 500
"""Records behind the end of `events`: less than what arrives between two looks."""


@dataclass(frozen=True, slots=True)
class Running:
    """The running job, and what it goes on from: `kept`, the folder of its state, or `the beginning`.

    `replaced` are the ids of jobs of another query that it took over from.
    """

    job_id: str
    origin: str
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """What a start needs beside the job.

    Attributes:
        jar: our own jar.
        states: the folder that holds, of the jobs of one name, a folder of checkpoints each and the savepoints.
        now_ms: part of the id of a new job, and of its rows' versions.
    """

    jar: Path
    states: Path
    now_ms: int


def ensure_running(cluster: Cluster, job: Job, launch: Launch) -> Running:
    """Return the running job; it is started if need be, and jobs of its name with another query are taken over from.

    Raises:
        ClusterError: the cluster refuses the job, it does not run within two minutes, or it stops catching up.
    """
    alive = _jobs(cluster, job.name, ALIVE)
    same = [job_id for job_id in alive if job_id.startswith(job.fingerprint)]
    others = tuple(job_id for job_id in alive if job_id not in same)
    if same:
        job_id, origin = same[0], "kept"
    else:
        # Where another query ran meanwhile, this one's state ends before it: what came since would be missing of idle keys.
        state = None if others else newest_state(launch.states, job.fingerprint)
        job_id, origin = _start(cluster, job, launch, state), str(state or "the beginning")
    _wait(lambda: _runs(cluster, job_id), f"job {job_id} does not run: see {cluster.url}/#/job/{job_id}")
    if others:
        _wait_until_caught_up(cluster, job_id)
    _cancel(cluster, job.name, (*same[1:], *others))
    forget_superseded(launch.states, job.fingerprint, job_id)
    return Running(job_id, origin, others)


def upgrade(cluster: Cluster, job: Job, launch: Launch) -> Running:
    """Stop the job of this query with a savepoint and start it from there: another parallelism, jar or Flink, the same state.

    Raises:
        ClusterError: no job of this query runs (a changed query has no use for the state: submit it), or as `ensure_running`.
    """
    alive = [found for found in _jobs(cluster, job.name, ALIVE) if found.startswith(job.fingerprint)]
    if len(alive) != 1:
        raise ClusterError(
            f"{len(alive)} jobs called {job.name} run this query, not one; a changed query is submitted, not upgraded"
        )
    folder = launch.states / f"{job.fingerprint}-savepoints"
    savepoint = _stop_with_savepoint(cluster, alive[0], folder)
    job_id = _start(cluster, job, launch, savepoint)
    _wait(lambda: _runs(cluster, job_id), f"job {job_id} does not run: see {cluster.url}/#/job/{job_id}")
    return Running(job_id, str(savepoint))


def restart(cluster: Cluster, job: Job, launch: Launch) -> Running:
    """Start the job from the beginning of `events`, whatever it has done: every row is written again.

    Jobs of its name are cancelled, and what they kept is removed, so that no later start goes on from it.

    Raises:
        ClusterError: as `ensure_running`.
    """
    replaced = tuple(_jobs(cluster, job.name, ALIVE))
    _cancel(cluster, job.name, replaced)
    for kept in launch.states.glob(f"{job.fingerprint}*"):
        shutil.rmtree(kept)
    job_id = _start(cluster, job, launch, None)
    _wait(lambda: _runs(cluster, job_id), f"job {job_id} does not run: see {cluster.url}/#/job/{job_id}")
    _wait_until_caught_up(cluster, job_id)
    return Running(job_id, "the beginning", replaced)


def newest_state(states: Path, fingerprint: str) -> Path | None:
    """The newest completed checkpoint or savepoint of any job with this query."""
    found = (
        path for kind in ("chk", "savepoint") for path in states.glob(f"{fingerprint}*/{kind}-*/_metadata")
    )
    newest = max(found, key=lambda path: path.stat().st_mtime_ns, default=None)
    return newest.parent if newest else None


def forget_superseded(states: Path, fingerprint: str, job_id: str) -> None:
    """Remove states of other queries, and those of this one's earlier jobs where `job_id` has completed a checkpoint."""
    own = next(states.glob(f"{job_id}/chk-*/_metadata"), None)
    for kept in states.glob("*"):
        if kept.name != job_id and (own is not None or not kept.name.startswith(fingerprint)):
            shutil.rmtree(kept)


def stop(cluster: Cluster, name: str) -> None:
    """Cancel every job called `name`; its checkpoints stay."""
    _cancel(cluster, name, tuple(_jobs(cluster, name, ALIVE)))


def _cancel(cluster: Cluster, name: str, job_ids: tuple[str, ...]) -> None:
    for job_id in job_ids:
        cluster.cancel(job_id)
    gone = frozenset(job_ids)
    _wait(
        lambda: not gone.intersection(_jobs(cluster, name, ALIVE | LEAVING)),
        f"{name} is still being cancelled",
    )


def _stop_with_savepoint(cluster: Cluster, job_id: str, folder: Path) -> Path:
    asked = cluster.post(f"/jobs/{job_id}/stop", {"targetDirectory": folder.as_uri(), "drain": False})
    where = f"/jobs/{job_id}/savepoints/{asked['request-id']}"
    told: dict[str, Any] = {}

    def done() -> bool:
        told.update(cluster.get(where))
        return bool(told["status"]["id"] == "COMPLETED")

    _wait(done, f"job {job_id} writes no savepoint")
    if "location" not in told["operation"]:
        raise ClusterError(f"job {job_id} wrote no savepoint: {str(told['operation'])[:2000]}")
    return Path(told["operation"]["location"].removeprefix("file:"))


def _wait_until_caught_up(cluster: Cluster, job_id: str) -> None:
    """Wait as long as fewer and fewer records are left.

    Raises:
        ClusterError: for two minutes no fewer were left than ever before.
    """
    least, since = None, time.monotonic()
    while True:
        left = pending_records(cluster, job_id)
        if left is not None and left <= CAUGHT_UP:
            return
        if left is not None and (least is None or left < least):
            least, since = left, time.monotonic()
        if time.monotonic() - since > LIMIT_SECONDS:
            raise ClusterError(
                f"job {job_id} does not catch up: {least} records are left; the old job goes on"
            )
        time.sleep(POLL_SECONDS)


def _start(cluster: Cluster, job: Job, launch: Launch, state: Path | None) -> str:
    job_id = f"{job.fingerprint}{launch.now_ms:016x}"
    arguments = [*job.arguments, "--made-at", str(launch.now_ms)]
    jar_id = cluster.upload(launch.jar)
    body: dict[str, object] = {"entryClass": ENTRY_CLASS, "programArgsList": arguments, "jobId": job_id}
    if state is not None:
        body |= {"savepointPath": state.as_uri(), "claimMode": "NO_CLAIM"}
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
