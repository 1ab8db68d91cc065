"""`python -m infra.airflow daily|train --cut D`: runs a DAG for a cut and tells what became of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import date

from contracts.errors import BraidError
from contracts.settings import from_environment
from infra.airflow import client

RUNS = {"daily": client.run_daily, "train": client.run_train}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the run succeeded, 1 when a task failed or Airflow does not answer."""
    parser = argparse.ArgumentParser(prog="python -m infra.airflow", description=__doc__)
    parser.add_argument("dag", choices=sorted(RUNS))
    parser.add_argument("--cut", type=date.fromisoformat, required=True)
    given = parser.parse_args(arguments)
    try:
        run = RUNS[given.dag](from_environment(), given.cut)
    except BraidError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(summary(run), indent=2) + "\n")
    return 0 if run.succeeded else 1


def summary(run: client.DagRun) -> dict[str, object]:
    """The run as JSON: states and seconds by task, and what failed of what."""
    tasks = {
        name: {
            "state": task.state,
            "seconds": round(task.seconds, 1),
            "tries": task.tries,
            "error": task.error,
        }
        for name, task in run.tasks.items()
    }
    return {
        "dag": run.dag_id,
        "cut": run.cut.isoformat(),
        "state": run.state,
        "run_id": run.run_id,
        "tasks": tasks,
    }


if __name__ == "__main__":
    sys.exit(main())
