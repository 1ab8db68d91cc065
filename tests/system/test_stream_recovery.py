"""`kill -9` under load: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.settings import TOPICS, Settings
from flink_jobs.job import checkpoints_folder, stream_job
from flink_jobs.rest import Cluster
from flink_jobs.submit import newest_state
from infra.stack import LocalStack
from tests.flink_jobs.kit import Tail, unique, wait_for
from tests.system.stream_load import all_arrived, check_exact, kill, load, poll, some_rows


@pytest.fixture(scope="module")
def running(settings: Settings, stack: LocalStack) -> Settings:
    stack.up(["flink-job"])
    return settings


def checkpoints(settings: Settings, job_id: str) -> int:
    """How many checkpoints the job has completed."""
    return int(Cluster(settings.flink_url).get(f"/jobs/{job_id}/checkpoints")["counts"]["completed"])


def completed(settings: Settings) -> Path | None:
    return newest_state(checkpoints_folder(settings), stream_job(settings).fingerprint)


def test_taskmanager_killed_under_load(running: Settings, stack: LocalStack) -> None:
    tag, rows = unique("task"), Tail(running, TOPICS.online_features)
    with load(running, tag) as third:
        third.wait()
        some_rows(rows, tag)
        kill(stack, "flink-taskmanager")
        stack.up(["flink-job"])
    check_exact(wait_for(lambda: rows.rows("session", tag), all_arrived))


def test_jobmanager_killed_under_load_resumes_from_the_last_checkpoint(
    running: Settings, stack: LocalStack
) -> None:
    tag, rows = unique("job"), Tail(running, TOPICS.online_features)
    before = running_jobs(running)
    count = checkpoints(running, before[0])
    with load(running, tag) as third:
        third.wait()
        some_rows(rows, tag)
        # Without a checkpoint there would be nothing to resume from.
        poll(lambda: checkpoints(running, before[0]) > count, "no checkpoint during the load")
        kill(stack, "flink-jobmanager")
        left = completed(running)
        assert left is not None
        stack.up(["flink-job"])
    check_exact(wait_for(lambda: rows.rows("session", tag), all_arrived))
    after = running_jobs(running)
    assert len(after) == 1
    assert after != before
    restored = Cluster(running.flink_url).get(f"/jobs/{after[0]}/checkpoints")["latest"]["restored"]
    assert restored["external_path"] == f"file:{left}"


def test_a_running_job_stays(running: Settings, stack: LocalStack) -> None:
    before = running_jobs(running)
    stack.up(["flink-job"])
    assert running_jobs(running) == before


def running_jobs(settings: Settings) -> list[str]:
    jobs = Cluster(settings.flink_url).get("/jobs/overview")["jobs"]
    return [job["jid"] for job in jobs if job["state"] == "RUNNING"]
