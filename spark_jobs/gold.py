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

from contracts.clock import to_micros
from contracts.cuts import Cut
from contracts.engines import SHUFFLE_PARTITIONS, shuffle_partitions
from contracts.errors import GateError, SourceError
from contracts.expectations import FEATURES
from contracts.feature_sql import event_columns
from contracts.features import ITEM, USER
from contracts.tables import table_named
from spark_jobs import consent_times, gold_gate, gold_rows, stream_rows
from spark_jobs.gates import Counted, pass_gate, refused
from spark_jobs.gold_rows import CONTEXT
from spark_jobs.run import Run, date_range
from spark_jobs.silver_rows import EVENT_KEY

OWN_COLUMNS = (
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
    *CONTEXT,
    "item_id",
    "value_minor",
    "items",
    "source_partition",
    "source_offset",
    "event_on",
    "cut_on",
)
VIEWS = (USER, ITEM, *stream_rows.HISTORIES)
COLUMNS = tuple(
    dict.fromkeys((*OWN_COLUMNS, *sorted(event_columns(f for view in VIEWS for f in view.features))))
)
"""What gold itself reads of silver, and what the features of its views do."""
ITEM_COLUMNS = tuple(
    dict.fromkeys(
        ("event_id", "event_name", "event_time", "visitor_id", "session_id", "item_id", "items", "event_on", "cut_on",
         "valid_from", "valid_to", *sorted(event_columns(ITEM.features)))
    )
)  # fmt: skip


def run_gold(run: Run) -> None:
    """Gate and write the run's cuts.

    Raises:
        GateError: a rule is broken, or the cut was refused at ingest; nothing was written.
        SourceError: silver has not been written.
    """
    for rule, on in refused(run.settings, run.days):
        raise GateError(f"cut {on} was refused at ingest (rule {rule}): run silver again first")
    silver = _silver(run)
    events = table_named("silver_events").path(run.settings)
    run.spark.conf.set(SHUFFLE_PARTITIONS, shuffle_partitions(events))
    pass_gate(run, FEATURES, (Counted("silver_events", _copies(run, silver), "cut_on"),))
    with gold_gate.judged(run):
        _write(run, silver)


def first_cut(run: Run) -> date:
    """The oldest cut of the run that its tables keep."""
    kept = table_named("gold_user_features").retention_days
    return max(run.first, run.cut - timedelta(days=kept - 1))


def _silver(run: Run) -> DataFrame:
    """What the newest cut knows, in the columns that gold reads."""
    found = run.read("silver_events")
    if found is None:
        raise SourceError("silver_events has not been written: run the job silver first")
    return found.where(f"cut_on <= DATE'{run.cut}'").select(*COLUMNS)


def _copies(run: Run, silver: DataFrame) -> DataFrame:
    """The cuts' events with how often each stands in silver; copies have one event_time, and lie within `late_horizon`."""
    near = silver.where(run.between("event_on", before=run.settings.late_horizon.days + 1))
    counted = near.groupBy(*EVENT_KEY, "event_on").agg(
        F.count("*").alias("copies"),
        F.max_by(
            F.struct("user_id", "linked_user_id", "value_minor", "consent_state", "cut_on"), "cut_on"
        ).alias("row"),
    )
    return counted.select("copies", "row.*").where(run.between("cut_on"))


def chosen(run: Run) -> DataFrame:
    """The choices about consent that count for the run's cuts, from bronze.

    Raises:
        SourceError: bronze has not been written.
    """
    delay = run.settings.publish_delay
    published = Cut(run.cut, delay).published_at
    known = _bronze(run).where(f"received_time < {to_micros(run.consent_as_of or published)}")
    return consent_times.choices(known, delay, run.consent_as_of)


def _bronze(run: Run) -> DataFrame:
    found = run.read("bronze_events")
    if found is None:
        raise SourceError("bronze_events has not been written: run the job bronze first")
    return found


def _write(run: Run, silver: DataFrame) -> None:
    first, delay = first_cut(run), run.settings.publish_delay
    cuts = (first, run.cut, delay)
    cut = date_range("cut_on", first, run.cut)
    choices = chosen(run).persist(StorageLevel.MEMORY_AND_DISK)
    people = consent_times.person_times(choices, silver).persist(StorageLevel.MEMORY_AND_DISK)
    personal = consent_times.usable(silver, people, "personalization")
    analytic = consent_times.usable(silver, people, "analytics").select(*ITEM_COLUMNS)
    run.replace("gold_consent", gold_rows.consent(consent_times.shopper_times(choices), *cuts), cut)
    run.replace("gold_user_features", gold_rows.user_features(personal, *cuts), cut)
    catalog = run.read("silver_catalog")
    if catalog is not None:
        history = catalog.where(f"effective_on <= DATE'{run.cut}'")
        run.replace("gold_item_features", gold_rows.item_features(analytic, history, *cuts), cut)
    _write_events(run, personal, cut, first)
    people.unpersist()
    choices.unpersist()


def _write_events(run: Run, personal: DataFrame, cut: str, first: date) -> None:
    """Tables of a row an event: replaced by cut, which may touch the dates of late events."""
    settings = run.settings
    late = settings.late_horizon.days + 1
    touched = f"{date_range('event_on', first - timedelta(days=late), run.cut)} AND {cut}"
    taken = stream_rows.in_time(personal, settings.session_horizon)
    for view in stream_rows.HISTORIES:
        run.replace(view.table, stream_rows.after_each_event(view, taken, first), touched)
    labels = gold_rows.label_rows(personal, consent_times.withdrawals(_bronze(run)))
    run.replace("gold_label_rows", labels.where(cut), touched)
