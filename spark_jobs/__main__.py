"""`python -m spark_jobs --jobs bronze,silver,gold --cut D [--from F]`: one Spark application runs the jobs in order.

Exit codes: 0, 1 for an error, 2 for arguments, 3 when a gate refused the data.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from contracts.errors import BraidError, GateError
from contracts.logs import RoomLog
from contracts.settings import from_environment
from spark_jobs.gates import EXIT_CODE, log_file
from spark_jobs.run import KAFKA, Run
from spark_jobs.session import open_session

log = RoomLog("spark_jobs")

Job = Callable[[Run], Any]
JOBS = {
    "bronze": "spark_jobs.bronze:run_bronze",
    "silver": "spark_jobs.silver:run_silver",
    "profiles": "spark_jobs.profiles:run_profiles",
    "gold": "spark_jobs.gold:run_gold",
    "user_vectors": "spark_jobs.user_vectors:run_user_vectors",
    "lists": "spark_jobs.lists:run_lists",
    "decisions": "spark_jobs.decisions:run_decisions",
    "check_decisions": "spark_jobs.checks:check_decisions",
    "parity_rows": "spark_jobs.parity_rows:run_parity_rows",
    "parity_windows": "spark_jobs.parity_rows:run_parity_windows",
    "session_counts": "spark_jobs.checks:session_counts",
}
GATED = frozenset({"silver", "gold"})


def job_named(name: str) -> Job:
    """The job's function; what it needs is imported with it."""
    module, _, function = JOBS[name].partition(":")
    found: Job = getattr(import_module(module), function)
    return found


def run_jobs(run: Run, names: Sequence[str]) -> dict[str, Any]:
    """Run the jobs in order: `seconds` a job, `rows` a table, and what jobs found, by their keys."""
    seconds: dict[str, float] = {}
    report: dict[str, Any] = {"cut": run.cut.isoformat(), "from": run.first.isoformat()}
    report |= {"seconds": seconds, "rows": run.rows}
    for name in names:
        started = time.perf_counter()
        report |= job_named(name)(run) or {}
        seconds[name] = round(time.perf_counter() - started, 2)
        log("job_done", job=name, cut=run.cut, seconds=seconds[name])
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _parser().parse_args(arguments)
    settings = from_environment()
    settings.lake.mkdir(parents=True, exist_ok=True)
    seen = _lines(log_file(settings))
    report: dict[str, Any] = {}
    code = 0
    if GATED.intersection(options.jobs):
        # Great Expectations takes seconds to import: beside the JVM's start they cost nothing.
        Thread(target=import_module, args=("spark_jobs.expectations",), daemon=True).start()
    try:
        with open_session(settings, f"braid {','.join(options.jobs)} {options.cut}") as spark:
            first = options.first or options.cut
            run = Run(spark, settings, first, options.cut, options.consent_as_of, options.source)
            report = run_jobs(run, options.jobs)
    except BraidError as error:
        code = EXIT_CODE if isinstance(error, GateError) else 1
        report["error"] = str(error)
        log("job_failed", cut=options.cut, error=str(error))
    report["gates"] = [json.loads(line) for line in _lines(log_file(settings))[len(seen) :]]
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(json.dumps(report, indent=1, default=str) + "\n")
    return code


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spark_jobs", description=__doc__)
    parser.add_argument("--jobs", type=_jobs, required=True, help=f"comma-separated, of {', '.join(JOBS)}")
    parser.add_argument("--cut", type=date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument(
        "--from", dest="first", type=date.fromisoformat, metavar="DATE", help="first cut of a range"
    )
    parser.add_argument(
        "--consent-as-of", type=_moment, metavar="TIME", help="default: each cut's publication"
    )
    parser.add_argument("--source", default=KAFKA, help="kafka, or days:<name>")
    parser.add_argument("--report", type=Path, help="where to write what was done, as JSON")
    return parser


def _jobs(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in JOBS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown job {unknown[0]!r}; known are {', '.join(JOBS)}")
    return names


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} has no zone: write 2011-08-30T02:00:00Z")
    return moment


if __name__ == "__main__":
    sys.exit(main())
