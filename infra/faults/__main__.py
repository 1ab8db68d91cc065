"""`python -m infra.faults`: plants every fault, counts what was caught, and writes `data-faults.json`.

Faults of single records go through the door and silver in one day; each fault of a day is a run of its own, in one Spark
application. Thirty clean days must raise no alarm, and the gates may cost a small part of the batch.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.reports import provenance, write_report
from contracts.settings import ROOT, Settings, from_environment
from infra.demo.plan import HOW_TO_GET_THE_DATA
from infra.faults import cost, trial
from infra.faults.fault import DEFAULT_DAY, Fault, read_faults
from infra.faults.generated import day_faults
from infra.faults.plan import base
from infra.faults.trial import Result, Trial

log = RoomLog("infra")

BY_HAND = ROOT / "tests" / "faults"
LEAST_INJECTED, LEAST_CAUGHT, MOST_COST, MOST_JOBS = 60, 0.95, 0.15, 2


def report_of(results: Sequence[Result], clean: dict[str, Any], costs: dict[str, Any]) -> dict[str, Any]:
    """The figures of the report."""
    hit = [result for result in results if result.outcome is not None]
    kinds = sorted({result.kind for result in results})
    return {
        "injected": len(results),
        "caught": len(hit),
        "caught_share": round(len(hit) / len(results), 4),
        "by_kind": {
            kind: {
                "injected": sum(result.kind == kind for result in results),
                "caught": sum(result.kind == kind for result in hit),
            }
            for kind in kinds
        },
        **clean,
        **costs,
        "misses": [result.as_json() for result in results if result.outcome is None],
        "faults": [result.as_json() for result in results],
    }


def broken_promises(report: dict[str, Any]) -> list[str]:
    """What the report should show and does not."""
    checks = {
        f"at least {LEAST_INJECTED} faults": report["injected"] >= LEAST_INJECTED,
        f"at least {LEAST_CAUGHT:.0%} caught": report["caught_share"] >= LEAST_CAUGHT,
        "no false alarm": report["false_alarms"] == 0,
        f"gates cost at most {MOST_COST:.0%}": report.get("gate_cost_ratio", 0) <= MOST_COST,
        f"at most {MOST_JOBS} Spark jobs a table": max(report["spark_jobs_per_table"].values()) <= MOST_JOBS,
    }
    return [name for name, holds in checks.items() if not holds]


def find_faults(settings: Settings, only: str, folder: Path) -> list[tuple[str, Fault]]:
    """Faults of days with their kind: generated ones, then those of the folder."""
    source, _ = base(settings)
    named = [("generated", fault) for fault in day_faults(source.read_day(DEFAULT_DAY))]
    named += [("by hand", fault) for fault in read_faults(folder)]
    return [(kind, fault) for kind, fault in named if only in fault.name]


def run(settings: Settings, only: str, folder: Path, with_cost: bool) -> dict[str, Any]:
    """Everything, in a lake of its own."""
    source, real = base(settings)
    own = replace(settings, var=settings.var / "faults")
    shutil.rmtree(own.var, ignore_errors=True)
    faults = find_faults(settings, only, folder)
    with Trial.open(own, source) as opened:
        clean = opened.clean_days(with_gold=with_cost)
        results = opened.records() if not only else []
        results += opened.days(faults)
        jobs = trial.spark_jobs(own)
    costs = cost.measure(own, source) if with_cost else {}
    data = {"source": source.name, "real": real, "notice": "" if real else HOW_TO_GET_THE_DATA}
    figures = report_of(results, clean, {"spark_jobs_per_table": jobs, **costs})
    return {**provenance(), "data": data, **figures}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when a promise is broken or nothing could be planted."""
    parser = argparse.ArgumentParser(prog="infra.faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults of days whose name holds it")
    parser.add_argument("--folder", type=Path, default=BY_HAND, help="where the faults by hand lie")
    parser.add_argument(
        "--without-cost", action="store_true", help="leave out gold and the gates' share of the batch"
    )
    options = parser.parse_args(arguments)
    settings, started = from_environment(), time.perf_counter()
    try:
        report = run(settings, options.only, options.folder, not options.without_cost)
    except BraidError as error:
        log("faults_failed", level="error", error=str(error))
        return 1
    report |= {"broken": broken_promises(report), "seconds": round(time.perf_counter() - started, 1)}
    path = settings.reports / "data-faults.json"
    write_report(path, report)
    shown = (
        "injected",
        "caught",
        "by_kind",
        "false_alarms",
        "gate_cost_ratio",
        "spark_jobs_per_table",
        "broken",
    )
    log("faults_done", "info", report=str(path), **{name: report.get(name) for name in shown})
    for miss in report["misses"]:
        log(
            "fault_missed",
            level="warning",
            **{name: miss[name] for name in ("name", "expected", "became", "rules")},
        )
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
