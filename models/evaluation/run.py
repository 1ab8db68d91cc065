"""`python -m models.evaluation quick|full`: every model on the public data sets → `reports/evaluate.json` and its page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.provenance import provenance
from contracts.settings import Settings
from models.errors import ModelsError
from models.evaluation.cases import Dataset
from models.evaluation.datasets import PUBLIC
from models.evaluation.methods import OF_DATASET
from models.evaluation.page import page_of
from models.evaluation.public import Tested, run_method, summary, values_of
from models.evaluation.search import Budget
from models.sequence.fit import Fit
from models.sequence.ours import run_towers
from models.sequence.presets import FITS

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much an evaluation does.

    Attributes:
        budget: of each search.
        train_seconds: of our towers, per data set.
        asked: validation cases that a search looks at; None for all.
    """

    datasets: Sequence[str]
    budget: Budget
    train_seconds: float
    asked: int | None


QUICK = Plan(("serenade", "beauty"), Budget(3, 60.0), 150.0, 1000)
FULL = Plan(tuple(PUBLIC), Budget(), 3600.0, 5000)


def run(settings: Settings, plan: Plan, say: Say) -> dict[str, Any]:
    """Evaluate, and write the report and its page.

    Raises:
        ModelsError: the data sets are not there.
    """
    if settings.data is None:
        raise ModelsError("the data sets are not there: set BRAID_DATA to their folder")
    began = time.perf_counter()
    report: dict[str, Any] = {**provenance(), "plan": _told(plan)}
    for name in plan.datasets:
        dataset = PUBLIC[name](settings.data)
        found = [_ours(dataset, plan, say)]
        for method in OF_DATASET[name]:
            started = time.perf_counter()
            found.append(run_method(dataset, method, plan.budget, plan.asked))
            say(f"{name}: {method.name} {_line(dataset, found[-1])}, {time.perf_counter() - started:.0f} s")
        report[name] = summary(dataset, found)
        report["seconds"] = round(time.perf_counter() - began, 1)
        _write(settings, report)
    return report


def _ours(dataset: Dataset, plan: Plan, say: Say) -> Tested:
    fit = FITS.get(dataset.name, Fit())
    found = run_towers(dataset, fit, plan.train_seconds, plan.asked)
    say(f"{dataset.name}: ours {_line(dataset, found)}, {found.about['seconds']:.0f} s")
    return found


def _line(dataset: Dataset, found: Tested) -> str:
    told = ((key, values_of(found.ranking, measure).mean()) for key, measure in dataset.measures.items())
    return ", ".join(f"{key} {value:.4f}" for key, value in told)


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "datasets": list(plan.datasets),
        "trials": plan.budget.trials,
        "search_seconds": plan.budget.seconds,
        "train_seconds": plan.train_seconds,
        "validation_cases": plan.asked,
        "seed": 0,
    }


def _write(settings: Settings, report: dict[str, Any]) -> None:
    settings.reports.mkdir(parents=True, exist_ok=True)
    (settings.reports / "evaluate.json").write_text(json.dumps(report, indent=1) + "\n")
    (settings.reports / "evaluate.html").write_text(page_of(report))
