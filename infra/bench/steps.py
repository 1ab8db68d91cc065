"""The batch's steps, each the process that the DAG runs, and what one costs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from contracts.settings import Settings
from infra.bench.meter import Cost
from infra.bench.shop import FIRST, LAST, SOURCE
from infra.demo.process import run_step

SPARK, FEAST = "spark_jobs", "feature_repo"
CUT = ("--cut", LAST.isoformat())
RANGE = ("--source", f"days:{SOURCE}", "--from", FIRST.isoformat(), *CUT)


@dataclass(frozen=True, slots=True)
class Step:
    """One process: `python -m <module> <arguments>`."""

    name: str
    module: str
    arguments: tuple[str, ...]


BRONZE = Step("bronze", SPARK, ("--jobs", "bronze", *RANGE))
SILVER = Step("silver", SPARK, ("--jobs", "silver", *RANGE))
GOLD = Step("gold", SPARK, ("--jobs", "gold", *RANGE))
TRAINING_SET = Step("training_set", FEAST, ("training-set", *CUT))
MATERIALIZE = Step("materialize", FEAST, ("materialize", *CUT))
TRAIN = Step("train", "models", ("train", *CUT, "--epochs", "2"))
EMBED = Step("embed", "models", ("embed", *CUT))
USER_VECTORS = Step("user_vectors", SPARK, ("--jobs", "user_vectors", *CUT))
PUBLISH = Step("publish", "models", ("publish", *CUT))
LISTS = Step("lists", SPARK, ("--jobs", "lists", *CUT))
EVERY = (BRONZE, SILVER, GOLD, TRAINING_SET, MATERIALIZE, TRAIN, EMBED, USER_VECTORS, PUBLISH, LISTS)
MEASURED = (SILVER, GOLD, TRAINING_SET, MATERIALIZE, LISTS)
"""Of the others the cost is reported, but no slope is promised."""
START_SPARK = Step("start_spark", "spark_jobs.warm_up", ())
START_FEAST = Step("start_feast", FEAST, ("apply",))


def cost_of(settings: Settings, step: Step) -> Cost:
    """Run the step and say what it cost.

    Raises:
        StepError: the process ended with another code than 0.
    """
    report = settings.run / f"{step.name}-cost.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    command = (sys.executable, "-m", step.module, *step.arguments)
    run_step(settings, step.name, "infra.bench.meter", str(report), *command)
    return read_cost(report)


def read_cost(report: Path) -> Cost:
    """What `infra.bench.meter` wrote."""
    return Cost(**json.loads(report.read_text()))
