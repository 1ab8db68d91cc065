"""The batch at 1, 4 and 16 times the data, then a training set of a million examples → bench-batch.json."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from contracts.engines import DRIVER_HEAP, MASTER
from contracts.reports import provenance
from contracts.settings import PORTS, Settings
from infra.bench import figures, shop, steps
from infra.bench.meter import Cost
from infra.bench.million import EXAMPLES, LABELS, copies_for, copy_lake, rows_in
from infra.bench.sample import recompute
from infra.demo.progress import Progress
from infra.simulator.parameters import ShopParameters
from infra.stack import LocalStack

START_UPS = 3
SAMPLE = 1_000
COUNTED = ("silver_events", EXAMPLES, "gold_session_features", "gold_user_features", "gold_item_features")


@dataclass(frozen=True, slots=True)
class Plan:
    """How large the bench is; slopes are taken between the last two factors."""

    factors: tuple[int, ...] = (1, 4, 16)
    once: ShopParameters = shop.ONCE
    examples: int = 1_000_000


def lake(settings: Settings, name: str) -> Settings:
    """State and ports of the bench's own: a demo's stay as they are."""
    return replace(settings, var=settings.var / "bench" / name, port_base=settings.port_base + len(PORTS))


def run(settings: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Every factor, then the million; returns the report.

    Raises:
        StepError: a step failed; the message holds the end of its log.
    """
    shutil.rmtree(settings.var / "bench", ignore_errors=True)
    with progress.step("start_up", "What a process costs before its work"):
        start = _start_up(lake(settings, "start"))
    costs: dict[int, dict[str, Cost]] = {}
    data: dict[str, Any] = {}
    for factor in sorted(plan.factors):
        own, size = lake(settings, f"x{factor}"), shop.shop_of(factor, plan.once)
        costs[factor] = _one_size(own, factor, size, progress)
        data[str(factor)] = shop.described(size) | {table: rows_in(own, table) for table in COUNTED}
    examples = _million(settings, lake(settings, f"x{max(plan.factors)}"), plan, progress)
    by_step = figures.steps_figures(costs, start)
    report = {
        **provenance(),
        "data": {
            "source": shop.SOURCE,
            "what": shop.WHAT,
            "from": shop.FIRST,
            "to": shop.LAST,
            "factors": data,
        },
        "memory_setting": {"master": MASTER, "driver_heap": DRIVER_HEAP},
        "start_up": start,
        "steps": by_step,
        "others": _others(costs),
        "training_set_1m": examples,
        "most_slope": figures.MOST_SLOPE,
        "broken": figures.broken(by_step, examples, plan.examples),
        "seconds": round(progress.elapsed, 1),
    }
    shutil.rmtree(settings.var / "bench")
    return report


def _start_up(own: Settings) -> dict[str, dict[str, float]]:
    spark, feast = (
        [steps.cost_of(own, step) for _ in range(START_UPS)]
        for step in (steps.START_SPARK, steps.START_FEAST)
    )
    return figures.start_up(spark, feast)


def _one_size(own: Settings, factor: int, size: ShopParameters, progress: Progress) -> dict[str, Cost]:
    """Every step of the batch at one size, each a process of its own."""
    with progress.step(f"days_x{factor}", f"{factor}x: {shop.FIRST} to {shop.LAST} of the simulated shop"):
        shop.write_days(own, size)
    costs = {}
    with redis_of(own):
        for step in steps.EVERY:
            with progress.step(f"{step.name}_x{factor}", f"{factor}x: {step.name}"):
                costs[step.name] = steps.cost_of(own, step)
            cost = costs[step.name]
            progress.say(f"{cost.seconds:.1f} s, {cost.cpu_seconds:.1f} CPU-seconds, {cost.peak_mib:,} MiB")
    return costs


def _million(settings: Settings, largest: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """The training set over copies of the largest lake, and a sample of it recomputed."""
    own = lake(settings, "million")
    copies = copies_for(rows_in(largest, EXAMPLES), plan.examples)
    with progress.step("copies", f"{copies} copies of the largest lake, each under keys of its own"):
        rows = copy_lake(largest, own, copies)
    with progress.step("training_set_1m", f"The training set of {rows[LABELS]:,} label rows"):
        cost = steps.cost_of(own, steps.TRAINING_SET)
    with progress.step("sample", f"Recomputing {SAMPLE:,} examples one by one"):
        sample = recompute(own, SAMPLE)
    examples = rows_in(own, EXAMPLES)
    return {
        "examples": examples,
        **figures.shown(cost),
        "cpu_seconds_per_million": round(cost.cpu_seconds * 1e6 / examples, 1),
        "copies": copies,
        "rows": rows,
        "sample": asdict(sample),
    }


def _others(costs: figures.Costs) -> dict[str, Any]:
    """The steps that make what the measured ones need."""
    measured = {step.name for step in steps.MEASURED}
    return {
        step.name: {str(factor): figures.shown(of[step.name]) for factor, of in costs.items()}
        for step in steps.EVERY
        if step.name not in measured
    }


@contextmanager
def redis_of(own: Settings) -> Iterator[None]:
    """Redis alone, stopped on leaving."""
    stack = LocalStack(own)
    try:
        stack.up(["redis"])
        yield
    finally:
        stack.down()
