"""The jobs parity_rows and parity_windows: every view recomputed from bronze, for the engines to be held against each other.

The rows are those that the jobs' own transforms make, without gates: `lake/_parity/<cut>/<view>` in Parquet, and beside them
the events that the cut may use for each purpose, which another engine can aggregate as well. Windows are made of the days
from the run's first to its last.
"""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.clock import to_micros
from contracts.columns import EVENT_COLUMNS
from contracts.cuts import Cut
from contracts.errors import SourceError
from contracts.features import CONSENT, ITEM, ITEM_TRENDS, SESSION, SHOPPER, USER
from contracts.settings import Settings
from spark_jobs import consent_times, gold_rows, parity, silver_rows
from spark_jobs.bronze_rows import dated
from spark_jobs.run import Run

FOLDER = "_parity"
GROUPED = (CONSENT, SESSION, SHOPPER)


def run_parity_rows(run: Run) -> None:
    """Write the rows of the run's cut.

    Raises:
        SourceError: bronze has not been written.
    """
    bronze, catalog = run.read("bronze_events"), run.read("bronze_catalog")
    if bronze is None or catalog is None:
        raise SourceError("bronze has not been written: run the job bronze first")
    cut = Cut(run.cut, run.settings.publish_delay)
    _write(
        run,
        grouped_views(bronze.persist(), run.settings)
        | cut_views(bronze, catalog, cut, run.settings.late_horizon),
    )


def run_parity_windows(run: Run) -> None:
    """Write the windows of the events of the run's days.

    Raises:
        SourceError: bronze has not been written.
    """
    bronze = run.read("bronze_events")
    if bronze is None:
        raise SourceError("bronze has not been written: run the job bronze first")
    _write(
        run, window_views(bronze.where(F.expr(dated("event_time")).between(F.lit(run.first), F.lit(run.cut))))
    )


def grouped_views(bronze: DataFrame, settings: Settings) -> dict[str, DataFrame]:
    """The final rows of the stream's grouped views, by their names."""
    return {view.name: parity.final_rows(view, bronze, settings.session_horizon) for view in GROUPED}


def window_views(bronze: DataFrame) -> dict[str, DataFrame]:
    """The rows of the stream's views of windows, by their names."""
    return {view.name: parity.window_rows(view, bronze) for view in ITEM_TRENDS}


def _write(run: Run, frames: dict[str, DataFrame]) -> None:
    folder = run.settings.lake / FOLDER / run.cut.isoformat()
    for name, frame in frames.items():
        frame.write.mode("overwrite").parquet(str(folder / name))


def cut_views(
    bronze: DataFrame, updates: DataFrame, cut: Cut, late_horizon: timedelta
) -> dict[str, DataFrame]:
    """The rows of the batch views at the cut, and `usable_<purpose>`: the events that they aggregate, linked."""
    placed = silver_rows.with_cut(bronze, cut.publish_delay).where(f"cut_on <= DATE'{cut.on}'")
    silver = silver_rows.with_identity(silver_rows.once_each(placed, None, late_horizon), None).persist()
    known = bronze.where(f"received_time < {to_micros(cut.published_at)}")
    people = consent_times.person_times(consent_times.choices(known, cut.publish_delay), silver).persist()
    usable = {p: consent_times.usable(silver, people, p) for p in ("personalization", "analytics")}
    history = silver_rows.catalog_history(updates).where(f"effective_on <= DATE'{cut.on}'")
    cuts = (cut.on, cut.on, cut.publish_delay)
    rows = {
        USER.name: gold_rows.user_features(usable["personalization"], *cuts),
        ITEM.name: gold_rows.item_features(usable["analytics"], history, *cuts),
    }
    at_cut = F.lit(cut.on).between(F.col("valid_from"), F.col("valid_to"))
    linked = [name for name in EVENT_COLUMNS if name != "user_id"]
    return rows | {
        f"usable_{purpose}": events.where(at_cut).select(*linked, F.col("linked_user_id").alias("user_id"))
        for purpose, events in usable.items()
    }
