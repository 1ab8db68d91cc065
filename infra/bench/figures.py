"""The bench's figures, pure: the work in a cost, slopes, and what is promised of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

from infra.bench.meter import Cost
from infra.bench.steps import FEAST, MEASURED, SPARK, Step

Costs = Mapping[int, Mapping[str, Cost]]
"""Factor → step → cost."""
MOST_SLOPE = 1.1
LEAST_WORK = 0.1
"""Seconds; a step that takes no longer than its start-up has done so much work."""
RESOLVED = 0.1
"""Work of less than this share of the start-up is lost in the start-up's own spread: then whole costs are compared."""


def slope(small: float, large: float, ratio: float) -> float:
    """The exponent b of cost ~ data^b between two sizes that are `ratio` apart; 1 is linear."""
    return round(math.log(large / small) / math.log(ratio), 3)


def start_up(spark: list[Cost], feast: list[Cost]) -> dict[str, dict[str, float]]:
    """What a process of each room costs before its work: `seconds` and `cpu_seconds`, medians.

    Args:
        spark: an application with one tiny table; `feast`: the registry applied, without Spark.
    """
    found = {}
    for room, parts in ((SPARK, (spark,)), (FEAST, (spark, feast))):
        found[room] = {
            name: round(sum(median(getattr(cost, name) for cost in costs) for costs in parts), 2)
            for name in ("seconds", "cpu_seconds")
        }
    return found


def shown(cost: Cost) -> dict[str, Any]:
    """A cost as the report has it."""
    return {name: value for name, value in asdict(cost).items() if name != "code"}


def work_in(cost: Cost, start: Mapping[str, float]) -> dict[str, float]:
    """The cost without the room's start-up."""
    return {
        name: round(max(LEAST_WORK, getattr(cost, name) - start[name]), 2)
        for name in ("seconds", "cpu_seconds")
    }


def step_figures(step: Step, costs: Costs, start: Mapping[str, float]) -> dict[str, Any]:
    """A step at every factor, and its slopes between the last two: of its work, else of the whole (`slope_is_of`)."""
    at = {
        factor: shown(of[step.name]) | {"work": work_in(of[step.name], start)} for factor, of in costs.items()
    }
    small, large = sorted(costs)[-2:]
    resolved = all(at[small]["work"][name] >= RESOLVED * start[name] for name in start)
    compared = {n: at[n]["work"] if resolved else at[n] for n in (small, large)}
    slopes = {
        name: slope(compared[small][name], compared[large][name], large / small)
        for name in ("seconds", "cpu_seconds")
    }
    slopes["peak_mib"] = slope(at[small]["peak_mib"], at[large]["peak_mib"], large / small)
    return {
        "at": {str(factor): figures for factor, figures in at.items()},
        "slope": slopes,
        "slope_is_of": "work" if resolved else "whole",
    }


def steps_figures(costs: Costs, start: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Every measured step."""
    return {step.name: step_figures(step, costs, start[step.module]) for step in MEASURED}


def broken(steps: Mapping[str, Any], examples: Mapping[str, Any], least: int) -> list[str]:
    """What the report promises and does not keep."""
    told = [
        f"{name}: slope {figures['slope'][of]} of its {of}, more than {MOST_SLOPE}"
        for name, figures in steps.items()
        for of in ("seconds", "cpu_seconds")
        if figures["slope"][of] > MOST_SLOPE
    ]
    if examples["examples"] < least:
        told.append(f"only {examples['examples']:,} examples, {least:,} wanted")
    if examples["sample"]["differences"]:
        told.append(
            f"{examples['sample']['differences']} examples of the sample differ from their recomputation"
        )
    return told
