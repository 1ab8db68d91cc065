"""`python -m infra.bench features`: its options, and what the terminal shows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.settings import Settings
from infra.bench.features.plan import Plan
from infra.demo.progress import Progress

REPORT = "bench-features.json"


def add_parser(parsers: Any) -> None:
    """The subcommand `features`."""
    features = parsers.add_parser("features", help="the feature store beside stock Feast")
    for size in fields(Plan):
        features.add_argument(f"--{size.name.replace('_', '-')}", type=int, default=size.default)
    features.set_defaults(report=REPORT, run=run, show=show)


def run(options: argparse.Namespace, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure what the options ask for."""
    # Feast and Spark are imported by who runs this alone.
    from infra.bench.features import bench

    plan = Plan(**{size.name: getattr(options, size.name) for size in fields(Plan)})
    return bench.run(settings, plan, progress)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """The figures, and what is broken."""
    table = Table(title=report["peer"])
    for name in ("what", "seen"):
        table.add_column(name)
    for what, seen in rows_of(report):
        table.add_row(what, seen)
    console.print(table)
    for promise in report["broken"]:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)


def rows_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was measured, a line each."""
    written, raced, reads = report["materialize"], report["contended"], report["read"]
    ours, stock = ([of["seconds"] for of in written[name]] for name in ("ours", "stock"))
    return [
        (f"materialize {written['entities']:,} x {written['features']}, s", f"{ours}; stock {stock}"),
        ("times faster; of CPU-seconds", f"{written['ratio']}; {written['ratio_cpu']}"),
        ("hashes that differ", f"{written['differences']:,}"),
        (f"{raced['writes']:,} contended writes: older rows left", f"{raced['older_wins']:,}; stock {raced['stock_older_wins']:,}"),
        (
            f"of {raced['late_corrections']:,} late corrections lost",
            f"{raced['late_corrections_lost']:,}; stock {raced['stock_late_corrections_lost']:,}",
        ),
        (f"{reads['requests']:,} requests, ms: p50, p99", f"{reads['p50_ms']}, {reads['p99_ms']}"),
        ("the SDK: p50, p99; times slower", f"{reads['sdk']['p50_ms']}, {reads['sdk']['p99_ms']}; {reads['ratio_sdk']}"),
        ("feast serve: p50, p99; times slower", f"{reads['serve']['p50_ms']}, {reads['serve']['p99_ms']}; {reads['ratio_serve']}"),
        (f"of {reads['values']:,} values differ", f"{reads['differences']:,}"),
    ]  # fmt: skip
