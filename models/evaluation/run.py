"""`python -m models.evaluation quick|full|final`: every model on every data set → a report and its page.

A report (`reports/evaluate.json`, `evaluate-quick.json`) is made of sections, one a data set, each with the commit, time and plan it was made by:
one that is evaluated anew replaces its section alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contracts.reports import provenance, write_report
from contracts.settings import Settings
from models.errors import ModelsError
from models.evaluation.cases import Dataset
from models.evaluation.cold import cold_section
from models.evaluation.datasets import PUBLIC
from models.evaluation.faults import faults_section
from models.evaluation.items import items_section
from models.evaluation.litert import litert_section
from models.evaluation.methods import OF_DATASET
from models.evaluation.page import page_of
from models.evaluation.plan import COLD, FULL, GATE, ITEMS, LITERT, SHOP, SHOP_TUNED, SPEED, Plan
from models.evaluation.protocol import Tested, asked_of, run_method, summary, values_of
from models.evaluation.searches import Searches
from models.evaluation.shop import TUNED_TO, read_shop
from models.evaluation.shop_run import final_section, searches_of, tuned_section
from models.evaluation.speed import DATASET as SPEED_DATASET
from models.evaluation.speed import daily_figures, speed_section
from models.sequence.ours import run_towers
from models.sequence.presets import FITS
from models.train import Fit

Say = Callable[[str], None]


def run(settings: Settings, plan: Plan, say: Say) -> dict[str, Any]:
    """Evaluate, and write the report and its page.

    Raises:
        ModelsError: the data sets are not there.
    """
    if settings.data is None:
        raise ModelsError("the data sets are not there: set BRAID_DATA to their folder")
    report = _kept(settings, plan.report)
    for name in plan.sections:
        began, made_by = time.perf_counter(), provenance()
        section = _section(settings, plan, name, say)
        made = {"plan": _told(plan), "seconds": round(time.perf_counter() - began, 1)}
        told = SHOP_TUNED if name == SHOP else name
        report = write_section(settings, plan.report, told, {**section, "made": {**made_by, **made}})
    return report


def run_final(settings: Settings, say: Say) -> dict[str, Any]:
    """Open the test month, and write its section.

    Raises:
        ModelsError: nothing was tuned before, or the lake does not hold the month.
    """
    began = time.perf_counter()
    kept = _kept(settings, FULL.report)
    tuned = searches_of(kept)
    opened = {name: provenance()[name] for name in ("commit", "made_at")}
    openings = [*kept.get(SHOP, {}).get("openings", ()), opened]
    # Before the month is read: an evaluation that is broken off has opened it as well.
    _write(settings, FULL.report, {**kept, SHOP: {**kept.get(SHOP, {}), "openings": openings}})
    section = {**final_section(settings, tuned, say), "openings": openings}
    made = {
        **provenance(),
        "plan": kept[SHOP_TUNED]["made"]["plan"],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return write_section(settings, FULL.report, SHOP, {**section, "made": made})


def _section(settings: Settings, plan: Plan, name: str, say: Say) -> dict[str, Any]:
    data = settings.data
    assert data is not None
    if name in PUBLIC:
        return _public(PUBLIC[name](data), plan, _searches(settings, plan), say)
    if name == SHOP:
        return tuned_section(settings, _searches(settings, plan), say)
    shop, fit = read_shop(settings, TUNED_TO), Fit()
    if name == SPEED:
        return {**speed_section(data, FITS[SPEED_DATASET], say), **daily_figures(shop, fit, say)}
    of_towers: dict[str, Callable[[], dict[str, Any]]] = {
        LITERT: lambda: litert_section(shop, fit),
        GATE: lambda: faults_section(shop, fit, say),
        ITEMS: lambda: items_section(shop, fit),
        COLD: lambda: cold_section(shop, fit, say),
    }
    return of_towers[name]()


def _searches(settings: Settings, plan: Plan) -> Searches:
    return Searches(settings.var / "searches.json", plan.budget, plan.asked)


def _public(dataset: Dataset, plan: Plan, searches: Searches, say: Say) -> dict[str, Any]:
    """Every baseline, then ours."""
    found = []
    for method in OF_DATASET[dataset.name]:
        started = time.perf_counter()
        found.append(run_method(dataset, method, searches))
        say(
            f"{dataset.name}: {method.name} {_line(dataset, found[-1])}, {time.perf_counter() - started:.0f} s"
        )
    return summary(asked_of(dataset), [*_ours(dataset, plan, say), *found])


def _ours(dataset: Dataset, plan: Plan, say: Say) -> list[Tested]:
    """As it serves, and the towers alone."""
    fit = FITS[dataset.name]
    if plan.epochs is not None:
        fit = replace(fit, epochs=min(fit.epochs, plan.epochs))
    found = run_towers(dataset, fit, plan.train_seconds, plan.budget, plan.asked)
    for one in found:
        say(f"{dataset.name}: {one.name} {_line(dataset, one)}, {one.about['seconds']:.0f} s")
    return list(found)


def _line(dataset: Dataset, found: Tested) -> str:
    told = ((key, values_of(found.ranking, measure).mean()) for key, measure in dataset.measures.items())
    return ", ".join(f"{key} {value:.4f}" for key, value in told)


def _told(plan: Plan) -> dict[str, Any]:
    return {
        "trials": plan.budget.trials,
        "search_seconds": plan.budget.seconds,
        "train_seconds": plan.train_seconds,
        "epochs": plan.epochs,
        "validation_cases": plan.asked,
        "seed": 0,
    }


def write_section(settings: Settings, file: str, name: str, section: dict[str, Any]) -> dict[str, Any]:
    """Put one section into the report of that name, and make its page anew; returns the whole report."""
    report = {**_kept(settings, file), **provenance(), name: section}
    report["seconds"] = round(sum(one["made"]["seconds"] for one in report.values() if _is_section(one)), 1)
    _write(settings, file, report)
    return report


def _write(settings: Settings, file: str, report: dict[str, Any]) -> None:
    """The report, whole or not at all, and its page."""
    path = settings.reports / f"{file}.json"
    write_report(path, report, default=None)
    path.with_suffix(".html").write_text(page_of(report))


def _kept(settings: Settings, file: str) -> dict[str, Any]:
    """The report so far; none before the first section."""
    path = settings.reports / f"{file}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _is_section(found: Any) -> bool:
    return isinstance(found, dict) and "made" in found
