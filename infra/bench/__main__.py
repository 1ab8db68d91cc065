"""`python -m infra.bench batch | features | scorer | stream` → var/reports/bench-{batch,features,scorer,stream}.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.errors import BraidError
from contracts.reports import write_report
from contracts.settings import Settings, from_environment
from infra.bench.batch import Plan, run
from infra.bench.features import command as features
from infra.bench.scorer import command as scorer
from infra.bench.stream import command as stream
from infra.demo.progress import Progress


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when a step failed or a promise is broken."""
    options, settings, console = _parser().parse_args(arguments), from_environment(), Console()
    try:
        report = options.run(options, settings, Progress(console))
    except BraidError as error:
        console.print(f"The bench stopped: {error}", style="bold red", highlight=False)
        return 1
    path = settings.reports / options.report
    write_report(path, report)
    options.show(console, report)
    console.print(f"{path}", highlight=False, soft_wrap=True)
    return 1 if report["broken"] else 0


def run_batch(options: argparse.Namespace, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Measure the batch as the options say."""
    once = replace(
        Plan().once, shoppers=options.shoppers, items=options.items, sessions_per_day=options.sessions_per_day
    )
    return run(settings, Plan(tuple(options.factors), once, options.examples), progress)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """Each step's cost and slopes, and what is broken."""
    factors = list(report["data"]["factors"])
    table = Table(title="The batch, without start-up")
    for name in ("step", *(f"{factor}x: s, CPU-s, MiB" for factor in factors), "slope: s, CPU-s"):
        table.add_column(name)
    for name, step in report["steps"].items():
        costs = (step["at"][factor] for factor in factors)
        slope = step["slope"]
        cells = (f"{c['work']['seconds']}, {c['work']['cpu_seconds']}, {c['peak_mib']:,}" for c in costs)
        whole = "" if step["slope_is_of"] == "work" else " (of the whole)"
        table.add_row(name, *cells, f"{slope['seconds']}, {slope['cpu_seconds']}{whole}")
    console.print(table)
    examples = report["training_set_1m"]
    console.print(
        f"{examples['examples']:,} examples: {examples['seconds']} s, {examples['cpu_seconds']} CPU-s, "
        f"{examples['peak_mib']:,} MiB; of {examples['sample']['examples']:,} recomputed "
        f"{examples['sample']['differences']} differ",
        highlight=False,
    )
    for promise in report["broken"]:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)


def _parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="infra.bench", description=__doc__)
    parsers = parser.add_subparsers(required=True)
    features.add_parser(parsers)
    stream.add_parser(parsers)
    scorer.add_parser(parsers)
    batch = parsers.add_parser("batch", help="the batch at 1, 4 and 16x the data")
    batch.set_defaults(report="bench-batch.json", run=run_batch, show=show)
    batch.add_argument(
        "--factors",
        type=int,
        nargs="+",
        default=plan.factors,
        help="at least two; the slope is of the last two",
    )
    batch.add_argument(
        "--examples", type=int, default=plan.examples, help="least rows of the large training set"
    )
    group = batch.add_argument_group("the shop at 1x")
    group.add_argument("--shoppers", type=int, default=plan.once.shoppers)
    group.add_argument("--items", type=int, default=plan.once.items)
    group.add_argument("--sessions-per-day", type=int, default=plan.once.sessions_per_day)
    return parser


if __name__ == "__main__":
    sys.exit(main())
