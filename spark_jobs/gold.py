"""The job gold: silver, through the gate silver → gold, into consent, user, item, session and label tables.

A range makes what its single days make. It begins `retention_days` of the tables before the newest cut: earlier rows
would be removed again, and no training window reaches them. Rows of a cut are replaced whole; a cut that the ingest gate
refused has no gold.
"""

from __future__ import annotations

from datetime import date, timedelta

from pyspark import StorageLevel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.errors import GateError, SourceError
from contracts.expectations import FEATURES
from contracts.tables import table_named
from spark_jobs import consent_times, gold_rows, session_rows
from spark_jobs.gates import Counted, pass_gate, refused
from spark_jobs.run import Run, date_range

COLUMNS = (
    "event_id",
    "event_name",
    "event_time",
    "received_time",
    "visitor_id",
    "user_id",
    "linked_user_id",
    "session_id",
    "shopper_id",
    "consent_state",
    "consent_personalization",
    "consent_analytics",
    "consent_changed_at",
    "item_id",
    "value_minor",
    "search_term",
    "source_partition",
    "source_offset",
    "event_on",
    "cut_on",
)


def run_gold(run: Run) -> None:
    """Gate and write the run's cuts.

    Raises:
        GateError: a rule is broken, or the cut was refused at ingest; nothing was written.
        SourceError: silver has not been written.
    """
    for rule, on in refused(run.settings, run.days):
        raise GateError(f"cut {on} was refused at ingest (rule {rule}): run silver again first")
    silver = _silver(run)
    pass_gate(run, FEATURES, (Counted("silver_events", _copies(run, silver), "cut_on"),))
    _write(run, silver)


def first_cut(run: Run) -> date:
    """The oldest cut of the run that its tables keep."""
    kept = table_named("gold_user_features").retention_days
    return max(run.first, run.cut - timedelta(days=kept - 1))


def _silver(run: Run) -> DataFrame:
    """What the newest cut and the consent asked for know, in the columns that gold reads."""
    found = run.read("silver_events")
    if found is None:
        raise SourceError("silver_events has not been written: run the job silver first")
    known = max(run.cut, run.consent_cut or run.cut)
    return found.where(f"cut_on <= DATE'{known}'").select(*COLUMNS)


def _copies(run: Run, silver: DataFrame) -> DataFrame:
    """The cuts' events with how often each stands in silver; copies lie within `late_horizon`."""
    near = silver.where(run.between("event_on", before=run.settings.late_horizon.days + 1))
    counted = near.groupBy("event_id").agg(
        F.count("*").alias("copies"),
        F.max_by(
            F.struct("user_id", "linked_user_id", "value_minor", "consent_state", "cut_on"), "cut_on"
        ).alias("row"),
    )
    return counted.select("copies", "row.*").where(run.between("cut_on"))


def _write(run: Run, silver: DataFrame) -> None:
    first, delay = first_cut(run), run.settings.publish_delay
    cuts = (first, run.cut, delay)
    cut = date_range("cut_on", first, run.cut)
    events = silver.where(f"cut_on <= DATE'{run.cut}'")
    arrived = consent_times.choices(silver).persist(StorageLevel.MEMORY_AND_DISK)
    people = consent_times.person_times(arrived, run.consent_cut).persist(StorageLevel.MEMORY_AND_DISK)
    shoppers = consent_times.shopper_times(arrived, run.consent_cut)
    personal = consent_times.usable(events, people, "personalization")
    analytic = consent_times.usable(events, people, "analytics")
    run.replace("gold_consent", gold_rows.consent(shoppers, *cuts), cut)
    run.replace("gold_user_features", gold_rows.user_features(personal, *cuts), cut)
    catalog = run.read("silver_catalog")
    if catalog is not None:
        history = catalog.where(f"effective_on <= DATE'{run.cut}'")
        run.replace("gold_item_features", gold_rows.item_features(analytic, history, *cuts), cut)
    _write_events(run, personal, cut, first)
    people.unpersist()
    arrived.unpersist()


def _write_events(run: Run, personal: DataFrame, cut: str, first: date) -> None:
    """Tables of a row an event: replaced by cut, which may touch the dates of late events."""
    settings = run.settings
    late = settings.late_horizon.days + 1
    touched = f"{date_range('event_on', first - timedelta(days=late), run.cut)} AND {cut}"
    reach = first - timedelta(days=session_rows.LOOK_BACK_DAYS)
    recent = session_rows.in_time(personal, settings.session_horizon).where(f"cut_on >= DATE'{reach}'")
    rows = session_rows.session_features(recent, settings.session_max_events)
    run.replace("gold_session_features", rows.where(cut), touched)
    run.replace("gold_label_rows", gold_rows.label_rows(personal).where(cut), touched)
