"""`python -m spark_jobs.rehearse`: many runs one after the other in one Spark application, asked for on standard input.

A line asks for a run, `{"jobs": ["bronze", "silver"], "source": "days:online-retail", "from": "2011-08-23", "cut": "2011-08-23",
"gated": true}`;
a line that begins with `ANSWER` tells what came of it: what the command's report says, its exit code, and the rules that
refused the cut. Each run is what the command `python -m spark_jobs` does, without its start.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from contracts.errors import BraidError, GateError
from contracts.settings import Settings, from_environment
from spark_jobs.__main__ import run_jobs
from spark_jobs.gate_log import verdicts_file
from spark_jobs.gates import EXIT_CODE
from spark_jobs.run import Run
from spark_jobs.session import open_session

ANSWER = "ANSWER "


def answers(spark: SparkSession, settings: Settings, asked: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What came of each run, in order."""
    for line in asked:
        wanted = json.loads(line)
        cut = date.fromisoformat(wanted["cut"])
        first = date.fromisoformat(wanted["from"])
        run = Run(spark, settings, first, cut, source=wanted["source"], gated=wanted["gated"])
        seen = _size(settings)
        answer: dict[str, Any] = {"code": 0, "error": None}
        try:
            answer |= run_jobs(run, wanted["jobs"])
        except BraidError as error:
            answer |= {"code": EXIT_CODE if isinstance(error, GateError) else 1, "error": str(error)}
        yield answer | {"broken": [one for one in _verdicts_from(settings, seen) if not one["passed"]]}


def _size(settings: Settings) -> int:
    path = verdicts_file(settings)
    return path.stat().st_size if path.is_file() else 0


def _verdicts_from(settings: Settings, offset: int) -> list[dict[str, Any]]:
    path = verdicts_file(settings)
    if not path.is_file():
        return []
    with path.open() as lines:
        lines.seek(offset)
        return [json.loads(line) for line in lines]


def main() -> int:
    """Answer until standard input ends."""
    settings = from_environment()
    settings.lake.mkdir(parents=True, exist_ok=True)
    with open_session(settings, "rehearsal") as spark:
        for answer in answers(spark, settings, sys.stdin):
            sys.stdout.write(ANSWER + json.dumps(answer, default=str) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
