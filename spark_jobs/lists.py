"""The job lists: the policy's list (`email`) of every user with `email` and `personalization` → gold_recommendations and var/exports.

Users, items and consent are the cut's; decided over the snapshot that serves, as the scorer does. The export has the same bytes
whenever and wherever it is made from the same tables and snapshot; `manifest.json` is written last, so that lists
without one are unfinished.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.cuts import Cut
from contracts.errors import SourceError
from contracts.policy import read_policy
from models.decide.artifacts import current_version, open_snapshot
from spark_jobs import consent_times, list_rows
from spark_jobs.exports import write_export
from spark_jobs.gold import chosen
from spark_jobs.run import Run
from spark_jobs.shoppers import COLUMNS

TABLE = "gold_recommendations"


def run_lists(run: Run) -> None:
    """Decide, write the table, then the export.

    Raises:
        SourceError: nothing serves, another cut does, or a table is missing.
    """
    folder, version = _served(run)
    shoppers = _shoppers(run, version)
    published_at = Cut(run.cut, run.settings.publish_delay).published_at
    rows = list_rows.lists(
        shoppers.repartition(2, "user_id"), folder, read_policy(run.settings.policy), published_at
    )
    frame = rows.withColumn("cut_on", F.lit(run.cut))
    run.replace(TABLE, frame, f"cut_on = DATE'{run.cut}'")
    written = run.read(TABLE)
    if written is None:
        raise SourceError(f"{TABLE} was not written")
    made = written.where(f"cut_on = DATE'{run.cut}'").orderBy("user_id", "rank").toArrow()
    write_export(run.settings.exports / run.cut.isoformat(), made, run.cut, version)


def _served(run: Run) -> tuple[Path, str]:
    serving = run.settings.serving
    version = current_version(serving)
    if version is None:
        raise SourceError(f"{serving} has no snapshot that serves: python -m models publish --cut {run.cut}")
    snapshot = open_snapshot(serving / version)
    if snapshot.cut_on != run.cut.isoformat():
        raise SourceError(
            f"{version} serves cut {snapshot.cut_on}, not {run.cut}: python -m models publish --cut {run.cut} first"
        )
    return serving / version, snapshot.model_version


def _shoppers(run: Run, model_version: str) -> DataFrame:
    """The consenting users of the cut: their rows and, where one exists, their vector."""
    cut = f"cut_on = DATE'{run.cut}'"
    users, silver = run.read("gold_user_features"), run.read("silver_events")
    if users is None or silver is None:
        raise SourceError("gold_user_features has not been written: run the job gold first")
    at_once = replace(
        run, consent_as_of=run.consent_as_of or Cut(run.cut, run.settings.publish_delay).published_at
    )
    people = consent_times.person_times(chosen(at_once), silver.where(f"cut_on <= DATE'{run.cut}'"))
    asked = list_rows.consenting(users.where(cut), people).select(*COLUMNS)
    asked = list_rows.with_said(asked, run.read("gold_shopper_features"), run.cut)
    vectors = run.read("gold_user_embeddings")
    if vectors is None:
        empty = F.lit(None)
        return asked.select(
            "*", empty.cast("array<float>").alias("vector"), empty.cast("string").alias("vector_model")
        )
    of_cut = vectors.where(cut).select(
        "user_id", F.col("user_vector").alias("vector"), F.col("user_vector_model").alias("vector_model")
    )
    return asked.join(of_cut, "user_id", "left")
