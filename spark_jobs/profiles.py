"""The job profiles: day files of checked profiles (`python -m infra.adapt crm`) → silver_profiles, merged by key.

A key (user, attribute, effective_time) stands once: of several the last by file date, source and line, whichever order
the files are run in. So a CRM may send everybody every day, and a rerun changes nothing. Every row carries the purpose
its attribute is bound to; who reads the table reads it through `contracts.profiles.attributes_of`.
"""

from __future__ import annotations

from delta.tables import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window

from contracts.errors import SourceError
from contracts.profiles import PROFILE_COLUMNS
from contracts.tables import POSITION, table_named
from spark_jobs import bronze_rows, delta
from spark_jobs.run import DAY_FILES, Run

TABLE = "silver_profiles"
PROFILE_DDL = "user_id STRING, attribute STRING, value STRING, purpose STRING, effective_time BIGINT"
ARRIVAL = ("source_partition", "source", "source_offset")
COLUMNS = (*PROFILE_COLUMNS, "effective_on", *POSITION)


def run_profiles(run: Run) -> None:
    """Merge the run's days.

    Raises:
        SourceError: the source is not day files, a day's file is missing, or a line is no checked profile.
    """
    lines = run.spark.read.text(_files(run))
    parsed = parse(bronze_rows.from_day_files(lines, run.source)).cache()
    first, last, broken = parsed.agg(
        F.min("effective_on"),
        F.max("effective_on"),
        F.expr("count_if(user_id IS NULL OR effective_on IS NULL)"),
    ).collect()[0]
    if broken:
        raise SourceError(f"{broken} lines of {run.source} are no checked profiles: run infra.adapt again")
    if first is not None:
        touched = f"known.effective_on >= DATE'{first}' AND known.effective_on <= DATE'{last}'"
        merge(run, newest(parsed), touched)
    parsed.unpersist()


def parse(records: DataFrame) -> DataFrame:
    """`value` (a line) → `COLUMNS`; all null but the position where it cannot be read."""
    read = records.select(*POSITION, F.from_json("value", PROFILE_DDL).alias("profile"))
    dated = read.select("profile.*", *POSITION).withColumn(
        "effective_on", F.expr(bronze_rows.dated("effective_time"))
    )
    return dated.select(*COLUMNS)


def newest(profiles: DataFrame) -> DataFrame:
    """Each key once: the last to arrive."""
    order = Window.partitionBy(*table_named(TABLE).key).orderBy(*(F.desc(name) for name in ARRIVAL))
    return profiles.withColumn("copy", F.row_number().over(order)).where("copy = 1").select(*COLUMNS)


def merge(run: Run, profiles: DataFrame, touched: str) -> None:
    """Upsert `profiles` by key; `touched` names the dates of the table that can hold the keys."""
    declared = table_named(TABLE)
    path = declared.path(run.settings)
    if not delta.exists(path):
        run.replace(TABLE, profiles, "true")
        return
    same = " AND ".join(f"known.{name} = new.{name}" for name in ("effective_on", *declared.key))
    later = " >= ".join(
        f"struct({', '.join(f'{side}.{name}' for name in ARRIVAL)})" for side in ("new", "known")
    )
    table = DeltaTable.forPath(run.spark, str(path))
    merging = table.alias("known").merge(profiles.alias("new"), f"{touched} AND {same}")
    merging.whenMatchedUpdateAll(later).whenNotMatchedInsertAll().execute()
    metrics = table.history(1).select("operationMetrics").collect()[0][0]
    run.rows[TABLE] = int(metrics["numTargetRowsInserted"]) + int(metrics["numTargetRowsUpdated"])


def _files(run: Run) -> list[str]:
    if not run.source.startswith(DAY_FILES):
        raise SourceError(f"--source {run.source!r}: profiles come as '{DAY_FILES}<name>'")
    name = run.source.removeprefix(DAY_FILES)
    paths = [run.settings.days / name / "profiles" / f"{on}.jsonl.gz" for on in run.days]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise SourceError(f"{missing[0]} is missing: python -m infra.adapt {name} writes it")
    return [str(path) for path in paths]
