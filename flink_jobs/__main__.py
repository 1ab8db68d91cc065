"""`python -m flink_jobs [submit | stop | explain]`: the stream job on the cluster of the settings."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from contracts.clock import WallClock, to_micros
from contracts.logs import RoomLog
from contracts.settings import ROOT, Settings, from_environment
from flink_jobs.job import checkpoints_folder, stream_job
from flink_jobs.plan import explain
from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.submit import ensure_running, stop

log = RoomLog("flink_jobs")
JARS = ROOT / "jars" / "flink"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m flink_jobs", description=__doc__)
    parser.add_argument("action", nargs="?", default="submit", choices=("submit", "stop", "explain"))
    action = parser.parse_args().action
    try:
        _run(action, from_environment())
    except ClusterError as error:
        log(action, level="error", error=str(error))
        return 1
    return 0


def _run(action: str, settings: Settings) -> None:
    job, cluster, began = stream_job(settings), Cluster(settings.flink_url), time.perf_counter()
    if action == "explain":
        sys.stdout.write(explain(job, JARS))
    elif action == "stop":
        stop(cluster, job.name)
        log("stopped", job=job.name)
    else:
        now_ms = to_micros(WallClock().now()) // 1000
        running = ensure_running(cluster, job, udf_jar(JARS), checkpoints_folder(settings), now_ms)
        took_ms = round((time.perf_counter() - began) * 1000)
        log("running", job=job.name, job_id=running.job_id, origin=running.origin, took_ms=took_ms)


def udf_jar(jars: Path) -> Path:
    """Our own jar among Flink's.

    Raises:
        ClusterError: it has not been built.
    """
    found = sorted(jars.glob("braid-flink-*.jar"))
    if not found:
        raise ClusterError(f"no braid-flink jar in {jars}: run `make setup`")
    return found[-1]


if __name__ == "__main__":
    sys.exit(main())
