"""`python -m infra.bench stream`: its options, its run, and what is shown of the report."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.settings import Settings
from infra.bench.stream.run import Plan, run
from infra.demo.progress import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    plan = Plan()
    parser = commands.add_parser("stream", help="from events to Redis, beside a PyFlink job")
    parser.set_defaults(report="bench-stream.json", run=run_stream, show=show)
    parser.add_argument(
        "--sessions",
        type=int,
        nargs="+",
        default=plan.sessions,
        help="live at once; the middle one beside the peer",
    )
    parser.add_argument("--batch", type=int, default=plan.batch, help="events of a measured batch")
    parser.add_argument("--long", type=int, default=plan.long, help="events of one session of the middle leg")
    parser.add_argument("--peer-events", type=int, default=plan.peer_events)
    parser.add_argument("--paced-seconds", type=int, default=plan.paced_seconds)


def run_stream(options: argparse.Namespace, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure as the options say."""
    plan = Plan(
        sessions=tuple(options.sessions),
        batch=options.batch,
        long=options.long,
        peer_events=options.peer_events,
        paced_seconds=options.paced_seconds,
    )
    return run(settings, plan, progress)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """The figures, and what is broken."""
    ours, peer, fresh = report["ours"], report["pyflink_process"], report["freshness_ms"]
    console.print(
        f"{ours['sessions']:,} live sessions: {ours['events_per_second']:,.0f} events/s into Redis (aim "
        f"{ours['aim_per_second']:,}), the PyFlink job {peer['events_per_second']:,.0f}: {report['ratio']} times\n"
        f"readable after {fresh['p50']} ms p50, {fresh['p99']} ms p99 at {report['data']['plan']['paced_rate']:,} events/s",
        highlight=False,
    )
    table = Table(title="Growth")
    for name in (
        "live sessions",
        "events/s",
        "state MiB",
        "bytes a session",
        "TaskManager MiB",
        "CPU-s a million",
    ):
        table.add_column(name, justify="right")
    for leg in report["growth"]:
        taskmanager = leg["memory_mib"].get("taskmanager", 0)
        cells = (leg["sessions"], leg["events_per_second"], leg["state_mib"], leg["state_bytes_per_session"])
        table.add_row(*(f"{cell:,}" for cell in (*cells, taskmanager, leg["cpu_seconds_per_million"])))
    console.print(table)
    for promise in report["broken"]:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)
