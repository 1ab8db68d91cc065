"""`make parity`: every stored value of every key, in the reference, Spark and Flink → var/reports/parity.json."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rich.console import Console

from contracts.clock import clear_replay_clock
from contracts.cuts import days_between
from contracts.errors import BraidError
from contracts.features import SESSION, SHOPPER, USER
from contracts.reports import provenance, write_report
from contracts.settings import PORTS, TOPICS, Settings, from_environment
from infra.clean import clean
from infra.demo.process import run_step
from infra.demo.progress import Progress
from infra.demo.topics import wait_until_passed
from infra.parity.compare import Compared
from infra.parity.consent import consent_figures
from infra.parity.legs import CROWD, GENERATED_UNTIL, Leg, close_windows, legs_of
from infra.parity.topics import wait_until_quiet
from infra.parity.values import Values
from infra.stack import LocalStack

ENGINES = ("reference", "spark", "flink")
MOST_MS = 1_000
IDLE = timedelta(minutes=5)
"""Days go by in seconds here: a partition that is silent for one is behind, not idle, and must hold the windows back."""
CHANGES = 10_000
HELD = (
    "gold_user_features",
    "gold_session_features",
    "gold_shopper_features",
    "gold_training_examples",
    "gold_recommendations",
)
"""Tables that a choice about consent is held against; there are embeddings only where the model makes them."""
LEAST_VALUES, LEAST_NON_DEFAULT = 1_000_000, 1_000
LEAST_ROWS = dict.fromkeys((SESSION.name, SHOPPER.name, USER.name, "derived"), 100)
"""Of the rows that decisions used."""


def main() -> int:
    """Run it; 1 when a value differs or too few were compared."""
    options = _parser().parse_args()
    settings, console = from_environment(), Console()
    # State and ports of its own: a demo's stay as they are.
    own = replace(
        settings, var=settings.var / "parity", port_base=settings.port_base + len(PORTS), stream_idle=IDLE
    )
    stack, progress = LocalStack(own), Progress(console)
    try:
        stack.down()
        clean(own)
        legs = legs_of(own, replace(CROWD, visitors=options.visitors))
        figures = run(own, stack, progress, legs, options.changes)
    except BraidError as error:
        console.print(f"Parity stopped: {error}", style="bold red", highlight=False)
        return 1
    finally:
        clear_replay_clock(own.clock_file)
        stack.down()
    path = settings.reports / "parity.json"
    write_report(path, figures)
    for line in figures["broken"]:
        console.print(f"BROKEN: {line}", style="bold red", highlight=False)
    console.print(
        f"{figures['values']:,} values of {figures['keys']:,} keys, {figures['differences']} different: {path}"
    )
    return 1 if figures["broken"] else 0


def run(
    settings: Settings, stack: LocalStack, progress: Progress, legs: list[Leg], changes: int
) -> dict[str, Any]:
    """Send every leg through the stack, recompute, compare; then the day of choices about consent."""
    compared, sent = Compared(), dict[str, int]()
    with progress.step("stack", "Starting Kafka, Flink with the stream job, the gateway, a Spark driver"):
        stack.up(["flink-job", "gateway", "spark-driver"])
    for leg in legs:
        with progress.step(f"send_{leg.name}", f"{leg.name}: {leg.what}"):
            sent[leg.name] = leg.send(settings)
    with progress.step("stream", "Waiting for the stream to come to rest"):
        close_windows(settings)
        wait_until_passed(settings, sum(sent.values()))
        wait_until_quiet(settings, [TOPICS.online_features, TOPICS.item_trends])
    cuts = sorted({leg.cut for leg in legs})
    for n, cut in enumerate(cuts):
        with progress.step(f"spark_{cut}", f"Spark recomputes every view, as of the cut {cut}"):
            jobs = "bronze,parity_rows" if n == 0 else "parity_rows"
            run_step(settings, "parity-rows", "spark_jobs", "--jobs", jobs, "--cut", cut.isoformat())
    for first, last in (leg.windows_on for leg in legs if leg.windows_on):
        with progress.step(f"spark_windows_{last}", f"Spark recomputes the windows of {first} to {last}"):
            span = ("--from", first.isoformat(), "--cut", last.isoformat())
            run_step(settings, "parity-windows", "spark_jobs", "--jobs", "parity_windows", *span)
    _compare(settings, progress, legs, compared)
    figures = {
        **provenance(),
        "data": {leg.name: {"what": leg.what, "events": sent[leg.name]} for leg in legs},
        "engines": ENGINES,
        "keys": compared.keys,
        "values": compared.values,
        "differences": compared.differences,
        "per_feature": dict(sorted(compared.per_feature.items())),
        "examples": compared.examples,
        **consent_figures(settings, stack, progress, changes),
        "seconds": progress.seconds,
    }
    return {**figures, "broken": broken(figures)}


def _compare(settings: Settings, progress: Progress, legs: list[Leg], compared: Compared) -> None:
    with progress.step("reference", "Reading what came through the door"):
        values = Values.of(settings)
    with progress.step("grouped", "Consent, session and shopper rows as they ended, in three engines"):
        values.grouped(GENERATED_UNTIL, compared)
    progress.say(f"{compared.values:,} values, {compared.differences} different")
    with progress.step("windows", "Item trends, window by window"):
        for span in (leg.windows_on for leg in legs if leg.windows_on):
            values.windows(days_between(*span), compared)
    progress.say(f"{compared.values:,} values, {compared.differences} different")
    for cut in sorted({leg.cut for leg in legs}):
        with progress.step(f"cut_{cut}", f"User and item rows of the cut {cut}, in three engines"):
            values.at_cut(cut, compared)
        progress.say(f"{compared.values:,} values, {compared.differences} different")


def broken(figures: dict[str, Any]) -> list[str]:
    """What the report promises and does not keep."""
    consent = figures["consent"]
    few = [name for name, n in figures["per_feature"].items() if n < LEAST_NON_DEFAULT]
    told = [f"{figures['differences']} values differ"] if figures["differences"] else []
    told += [f"only {figures['values']:,} values"] if figures["values"] < LEAST_VALUES else []
    told += [f"{figures['decision_differences']} decisions differ"] if figures["decision_differences"] else []
    told += [
        f"only {figures['decision_rows'].get(name, 0)} decisions with a row of {name}"
        for name, least in LEAST_ROWS.items()
        if figures["decision_rows"].get(name, 0) < least
    ]
    watched = consent["readable_ms"]["count"] + consent["unread"]
    told += [f"only {consent['changes']:,} choices about consent"] if consent["changes"] < CHANGES else []
    told += [f"{watched:,} of {consent['changes']:,} watched"] if watched != consent["changes"] else []
    tables = consent["tables"] | consent["tables_as_of_later"]
    told += [f"{name} has no row to look at" for name in HELD if not tables.get(name, {}).get("rows")]
    told += ["no withdrawal was asked about"] if not consent["withdrawals_asked"] else []
    told += [f"{consent['violations']} violations of consent"] if consent["violations"] else []
    told += [f"{consent['unread']} choices could not be read"] if consent["unread"] else []
    slow = consent["readable_ms"]["p99"] > MOST_MS
    told += [f"99 of 100 choices within {consent['readable_ms']['p99']} ms only"] if slow else []
    return told + [
        f"{name}: only {figures['per_feature'][name]} values that are not the default" for name in few
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra.parity", description=__doc__)
    parser.add_argument("--visitors", type=int, default=CROWD.visitors, help="devices of the generated leg")
    parser.add_argument("--changes", type=int, default=CHANGES, help="choices about consent on one day")
    return parser


if __name__ == "__main__":
    sys.exit(main())
