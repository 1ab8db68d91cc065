"""The gate gold → online: what a run wrote is judged before anything reads it, and taken back when it is refused.

Reading the rows back is cheaper than keeping a range's frames. Nothing reads them in between: materialization and training
are later tasks, which a refused cut never reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pyspark.sql import SparkSession

from contracts.errors import GateError
from contracts.expectations import ONLINE
from contracts.expectations.declared import GOLD_VIEWS
from contracts.tables import TABLES
from spark_jobs import delta
from spark_jobs.gates import Counted, pass_gate
from spark_jobs.run import Run, date_range

OWNER = "gold"


@contextmanager
def judged(run: Run, first: date) -> Iterator[None]:
    """Judge what the block writes of the cuts from `first` on.

    Raises:
        GateError: a rule is broken; every table of the job is again what it was before the block.
    """
    paths = [table.path(run.settings) for table in TABLES.values() if table.owner == OWNER]
    before = {path: version(path) for path in paths}
    yield
    cuts = date_range("cut_on", first, run.cut)
    written = ((view.table, run.read(view.table)) for view in GOLD_VIEWS)
    try:
        pass_gate(
            run,
            ONLINE,
            [Counted(table, frame.where(cuts), "cut_on") for table, frame in written if frame is not None],
        )
    except GateError:
        for path, known in before.items():
            take_back(run.spark, path, known)
        raise


def version(path: Path) -> int | None:
    """The table's newest version; None before its first write."""
    return max(int(log.stem) for log in (path / "_delta_log").glob("*.json")) if delta.exists(path) else None


def take_back(spark: SparkSession, path: Path, known: int | None) -> None:
    """Make the table what it was at `known`; empty where it was not."""
    from delta.tables import DeltaTable

    if version(path) == known:
        return
    table = DeltaTable.forPath(spark, str(path))
    if known is None:
        table.delete()
    else:
        table.restoreToVersion(known)
