"""`python -m models.bench` → var/reports/bench-retrieval.json."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.reports import provenance, write_report
from contracts.settings import from_environment
from models.errors import ModelsError

REPORT = "bench-retrieval.json"
log = RoomLog("models")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure retrieval; 1 where a promise is broken or the data are not there."""
    from models.bench.retrieval import Plan, run

    plan = Plan()
    parser = argparse.ArgumentParser(prog="models.bench", description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=plan.items, help="sizes of the catalog")
    parser.add_argument("--queries", type=int, default=plan.queries)
    parser.add_argument("--methods", nargs="+", choices=plan.methods, default=plan.methods)
    options, settings = parser.parse_args(argv), from_environment()
    try:
        if settings.data is None:
            raise ModelsError("the data sets are not there: set BRAID_DATA to their folder")
        chosen = replace(plan, items=options.items, queries=options.queries, methods=options.methods)
        report = {**provenance(), **run(settings.data, chosen, log)}
    except BraidError as error:
        log("the bench stopped", error=str(error))
        return 1
    write_report(settings.reports / REPORT, report, default=None)
    for promise in report["broken"]:
        log("broken", promise=promise)
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
