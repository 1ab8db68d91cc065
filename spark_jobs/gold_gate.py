"""The gate gold → online: what a run wrote is judged before anything reads it, and taken back when it is refused.

Reading the rows back is cheaper than keeping a range's frames. Nothing reads them in between: materialization and training
are later tasks, which a refused cut never reaches.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from pyspark.sql import DataFrame, SparkSession

from contracts.errors import GateError
from contracts.expectations import ONLINE
from contracts.expectations.declared import GOLD_VIEWS
from contracts.tables import TABLES
from spark_jobs import delta
from spark_jobs.gates import Counted, pass_gate
from spark_jobs.run import Run

OWNER = "gold"


@contextmanager
def judged(run: Run) -> Iterator[None]:
    """Judge what the block writes.

    Raises:
        GateError: a rule is broken; every table of the job is again what it was before the block.
    """
    paths = [table.path(run.settings) for table in TABLES.values() if table.owner == OWNER]
    before = {path: version(path) for path in paths}
    yield
    written = [view.table for view in GOLD_VIEWS if _written(run, view.table, before)]
    try:
        pass_gate(run, ONLINE, [Counted(table, _newest_rows(run, table), "cut_on") for table in written])
    except GateError:
        for path, known in before.items():
            take_back(run.spark, path, known)
        raise


def _written(run: Run, table: str, before: Mapping[Path, int | None]) -> bool:
    path = TABLES[table].path(run.settings)
    return version(path) != before[path]


def _newest_rows(run: Run, table: str) -> DataFrame:
    """The rows that the table's newest commit added, from its files: looking for them through Delta takes two more jobs."""
    path, whole = TABLES[table].path(run.settings), run.read(table)
    assert whole is not None
    newest = max((path / "_delta_log").glob("*.json"))
    actions = (json.loads(line) for line in newest.read_text().splitlines())
    files = [str(path / unquote(action["add"]["path"])) for action in actions if "add" in action]
    if not files:
        return whole.where("FALSE")
    return run.spark.read.schema(whole.schema).option("basePath", str(path)).parquet(*files)


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
