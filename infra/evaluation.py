"""`python -m infra.evaluation --cut D`: the real shop's lake as the evaluation reads it, under `var/evaluation`.

```
day files ─► bronze, silver, gold ─► training set: labels from LABELS_FROM to D
```

The lake grows: a later cut adds its days to those that are there, so that the test month is in no lake before
`make evaluate-final` asks for it. What was made of other data or by other code is made anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date, timedelta

from rich.console import Console

from contracts.errors import BraidError
from contracts.settings import Settings, from_environment
from infra.demo.process import run_step
from infra.demo.progress import Progress
from infra.demo.state import made_of

SOURCE = "online-retail"
FIRST = date(2010, 12, 1)
TUNED_TO = date(2011, 8, 31)
LABELS_FROM = date(2011, 5, 4)
"""The first day that has gold rows: the tables' retention before TUNED_TO."""
MAKERS = ("feature_repo", "infra/evaluation.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the lake up to the cut; 1 with what to do where that fails."""
    parser = argparse.ArgumentParser(prog="infra.evaluation", description=__doc__)
    parser.add_argument("--cut", type=date.fromisoformat, required=True, metavar="DATE")
    settings, console = from_environment(), Console()
    try:
        grow(settings, parser.parse_args(arguments).cut, Progress(console))
    except BraidError as error:
        console.print(f"The lake was not made: {error}", style="bold red", highlight=False)
        return 1
    return 0


def grow(settings: Settings, cut: date, progress: Progress) -> None:
    """Bring the lake to the cut; nothing is done where it is there. A new one first reaches TUNED_TO, whatever the cut:
    gold begins so many days before the first range's end.

    Raises:
        BraidError: the data set is not there, or a step failed.
    """
    if settings.data is None or not any((settings.data / SOURCE).glob("*.csv.gz")):
        raise BraidError(f"the data set is not there: set BRAID_DATA to the folder that holds {SOURCE}/")
    own, key = settings.evaluation, made_of(settings.data, SOURCE, MAKERS)
    marker = own.var / "made.json"
    made = json.loads(marker.read_text()) if marker.is_file() else {}
    if made == {**key, "cut": made.get("cut")}:
        begin = date.fromisoformat(made["cut"]) + timedelta(days=1)
    else:
        shutil.rmtree(own.var, ignore_errors=True)
        begin = FIRST
    for end in (TUNED_TO, cut):
        if begin <= end:
            marker.unlink(missing_ok=True)  # what is half grown is made anew
            _add(own, begin, end, progress)
            marker.write_text(json.dumps({**key, "cut": end.isoformat()}))
            begin = end + timedelta(days=1)


def _add(own: Settings, begin: date, end: date, progress: Progress) -> None:
    """The days' tables, and the training set of all days so far."""
    span = ("--from", begin.isoformat())
    with progress.step("day_files", f"{SOURCE}: day files {begin} to {end}"):
        run_step(own, "adapt", "infra.adapt", SOURCE, *span, "--to", end.isoformat())
    with progress.step("tables", "Bronze, silver and gold of every day (Spark, Delta, Great Expectations)"):
        jobs = ("--jobs", "bronze,silver,gold", "--source", f"days:{SOURCE}")
        run_step(own, "tables", "spark_jobs", *jobs, *span, "--cut", end.isoformat())
    with progress.step("training_set", "Joining label rows and features point in time (Feast on Spark)"):
        days = str((end - LABELS_FROM).days + 1)
        room = ("feature_repo", "training-set", "--cut", end.isoformat())
        run_step(own, "training-set", *room, "--label-days", days)


if __name__ == "__main__":
    sys.exit(main())
