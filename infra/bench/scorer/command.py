"""`python -m infra.bench scorer`: its options, and what the terminal shows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.settings import Settings
from infra.bench.scorer.plan import Plan
from infra.demo.progress import Progress


def add_parser(parsers: Any) -> None:
    """The subcommand `scorer`."""
    plan = Plan()
    parser = parsers.add_parser("scorer", help="the request path at scale, beside a tutorial's server")
    parser.set_defaults(report="bench-scorer.json", run=run, show=show)
    parser.add_argument(
        "--growth", type=int, nargs="*", default=plan.growth, help="other sizes of the catalog"
    )
    for name in ("items", "shoppers", "seconds", "rounds", "tutorial-items"):
        parser.add_argument(f"--{name}", type=int, default=getattr(plan, name.replace("-", "_")))


def run(options: argparse.Namespace, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure what the options ask for."""
    from infra.bench.scorer.run import run as measure

    plan = Plan(
        items=options.items,
        growth=tuple(options.growth),
        shoppers=options.shoppers,
        seconds=options.seconds,
        rounds=options.rounds,
        tutorial_items=options.tutorial_items,
    )
    return measure(settings, plan, progress)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """The figures, and what is broken."""
    plan, one, busy = report["plan"], report["one_client"], report["at_70_percent"]
    console.print(
        f"{plan['items']:,} items, {plan['shoppers']:,} shoppers: one client p50 {one['p50_ms']} ms, p99 {one['p99_ms']} ms; "
        f"{report['capacity_rps']} requests/s by {report['workers']} workers, at 70 % p99 {busy['p99_ms']} ms; one worker is "
        f"{report['ratio_tutorial']} times the tutorial's {report['tutorial']['capacity_rps']}\nstages {report['stages_ms']}; {report['memory_mib']} MiB; ready in {report['ready_s']} s; "
        f"{report['cpu_seconds_per_million']:,} CPU-s a million\ncores beside one client: {report['cores']}",
        highlight=False,
    )
    table = Table(title="Growth")
    for name in (
        "items",
        "workers",
        "p50 ms",
        "p99 ms",
        "requests/s",
        "p99 ms at 70 %",
        "MiB resident",
        "own",
        "swap s",
    ):
        table.add_column(name, justify="right")
    for leg in report["growth"]:
        one = leg["one_client"]
        cells = (
            *(leg["items"], leg["workers"], one["p50_ms"], one["p99_ms"]),
            *(leg["capacity_rps"], leg["at_70_percent"]["p99_ms"]),
        )
        swap = f"{leg['swap']['seconds']:,}" if "swap" in leg else ""
        table.add_row(*(f"{cell:,}" for cell in (*cells, *leg["memory_mib"].values())), swap)
    console.print(table)
    for promise in report["broken"]:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)
