"""`python -m flink_jobs [submit | upgrade | restart | stop | explain | metrics | parity]`: the stream job on the cluster of the settings.

`upgrade` restarts the running job from a savepoint, for another parallelism, jar or Flink; a changed query is submitted, and
takes over from the old job. `restart` begins with the first event again, when rows of `online_features` are lost. `metrics` serves `/metrics` until SIGTERM.

`parity --view V --cut D --events TOPIC --rows TOPIC` runs one view of the batch strand over given events beside it, until
it is stopped by `stop --name`.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

from contracts.clock import WallClock, to_micros
from contracts.cuts import Cut
from contracts.logs import RoomLog
from contracts.settings import ROOT, Settings, from_environment
from flink_jobs.job import EVERY_VIEW, JOB_NAME, Job, checkpoints_folder, parity_job, stream_job
from flink_jobs.plan import explain
from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.sql import Stream
from flink_jobs.submit import Launch, Running, ensure_running, restart, stop, upgrade

log = RoomLog("flink_jobs")
JARS = ROOT / "jars" / "flink"
ACTIONS = ("submit", "upgrade", "restart", "stop", "explain", "metrics", "parity")


def main() -> int:
    options = _parser().parse_args()
    try:
        _run(options, from_environment())
    except ClusterError as error:
        log(options.action, level="error", error=str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flink_jobs", description=__doc__)
    parser.add_argument("action", nargs="?", default="submit", choices=ACTIONS)
    parser.add_argument("--name", default=JOB_NAME, help="the job's name")
    parser.add_argument(
        "--view", choices=[view.name for view in EVERY_VIEW], help="of parity: what to compute"
    )
    parser.add_argument(
        "--cut", type=date.fromisoformat, metavar="DATE", help="of parity: events before its end count"
    )
    parser.add_argument("--events", help="of parity: the topic to read")
    parser.add_argument("--rows", help="of parity: the topic to write")
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> None:
    cluster = Cluster(settings.flink_url)
    if options.action == "explain":
        sys.stdout.write(explain(stream_job(settings), JARS))
    elif options.action == "stop":
        stop(cluster, options.name)
        log("stopped", job=options.name)
    elif options.action == "metrics":
        _serve_metrics(cluster, settings)
    else:
        job = _parity(options, settings) if options.action == "parity" else stream_job(settings)
        starts = {"upgrade": upgrade, "restart": restart}
        _bring_up(starts.get(options.action, ensure_running), cluster, job, settings)


def _bring_up(
    start: Callable[[Cluster, Job, Launch], Running], cluster: Cluster, job: Job, settings: Settings
) -> None:
    began = time.perf_counter()
    running = start(cluster, job, launch_now(settings, job.name))
    took_ms = round((time.perf_counter() - began) * 1000)
    log("running", job=job.name, **asdict(running), took_ms=took_ms)


def launch_now(settings: Settings, name: str = JOB_NAME) -> Launch:
    """A start at this moment, with our jar.

    Raises:
        ClusterError: the jar has not been built.
    """
    return Launch(udf_jar(JARS), checkpoints_folder(settings, name), to_micros(WallClock().now()) // 1000)


def _serve_metrics(cluster: Cluster, settings: Settings) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from flink_jobs.metrics import StreamCollector

    registry, stopped = CollectorRegistry(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    # Not asked of Flink at once: it may come up later.
    registry.register(StreamCollector(cluster, JOB_NAME))
    start_http_server(settings.port("stream_metrics"), settings.host, registry)
    stopped.wait()


def _parity(options: argparse.Namespace, settings: Settings) -> Job:
    stream = Stream(settings.kafka_bootstrap, options.events, options.rows, options.rows)
    views = [view for view in EVERY_VIEW if view.name == options.view]
    return parity_job(settings, stream, options.name, to_micros(Cut(options.cut).end), views)


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
