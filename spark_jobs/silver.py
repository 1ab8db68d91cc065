"""The job silver: the cuts' rows of bronze, through the gate bronze → silver, into silver_events and silver_catalog.

A cut reads only its own rows: events by `cut_on`, catalog updates by their effective date. Nothing is written unless the
gate passes for every cut of the run. So a refused day, whose rows stay in bronze, never reaches silver with a later day: its
dates are read again only when its own cut is run again, after the source was corrected or the rule changed. (A catalog
update that arrives after the cut of its effective date is likewise taken when that date is rerun.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS
from contracts.errors import SourceError
from contracts.expectations import INGEST
from contracts.settings import SESSION_MAX_EVENTS
from contracts.tables import POSITION
from spark_jobs import gate_rows
from spark_jobs import silver_rows as rows
from spark_jobs.gates import Counted, pass_gate
from spark_jobs.run import Run

SILVER_COLUMNS = (
    *EVENT_COLUMNS,
    "shopper_id",
    "linked_user_id",
    "consent_state",
    "event_on",
    "cut_on",
    *POSITION,
)


def run_silver(run: Run) -> None:
    """Gate and write the run's cuts.

    Raises:
        GateError: a rule is broken; nothing was written.
        SourceError: bronze has not been written.
    """
    silver = run.read("silver_catalog")
    known = None if silver is None else rows.items_of(silver.where(f"effective_on < DATE'{run.first}'"))
    if not run.gated:
        _write(run, _events(run), _catalog(run, known))
        return
    with _kept(known) as earlier, _kept(_catalog(run, earlier)) as catalog, _kept(_rejected(run)) as rejected:
        assert catalog is not None
        assert rejected is not None
        items = gate_rows.known_items(catalog, earlier)
        with _kept(gate_rows.with_checks(_events(run), items, SESSION_MAX_EVENTS)) as events:
            assert events is not None
            # Made before they are judged: the gate's seconds and jobs are then the gate's own.
            events.count()
            rejected.count()
            pass_gate(
                run,
                INGEST,
                (
                    Counted("bronze_events", events, "cut_on"),
                    Counted("bronze_catalog", catalog, "effective_on"),
                    Counted("bronze_rejected", rejected, "received_on"),
                ),
            )
            _write(run, events, catalog)


@contextmanager
def _kept(frame: DataFrame | None) -> Iterator[DataFrame | None]:
    """The frame, computed once however often it is read in the block."""
    if frame is None:
        yield None
        return
    try:
        yield frame.persist(StorageLevel.MEMORY_AND_DISK)
    finally:
        frame.unpersist()


def _write(run: Run, events: DataFrame, catalog: DataFrame) -> None:
    late = run.settings.late_horizon.days + 1
    where = f"{run.between('event_on', before=late)} AND {run.between('cut_on')}"
    run.replace("silver_events", events.select(*SILVER_COLUMNS), where)
    run.replace(
        "silver_catalog", catalog.select(*CATALOG_COLUMNS, "effective_on"), run.between("effective_on")
    )


def _bronze(run: Run, table: str) -> DataFrame:
    found = run.read(table)
    if found is None:
        raise SourceError(f"{table} has not been written: run the job bronze first")
    return found


def _rejected(run: Run) -> DataFrame:
    return _bronze(run, "bronze_rejected").where(run.between("received_on")).select("received_on")


def _events(run: Run) -> DataFrame:
    """The cuts' events; received_on bounds what is read, for a cut's events are received from its day on."""
    bronze = _bronze(run, "bronze_events").where(run.between("received_on", before=1, after=1))
    own = rows.with_cut(bronze, run.settings.publish_delay).where(run.between("cut_on"))
    silver, late = run.read("silver_events"), run.settings.late_horizon
    if silver is None:
        return rows.with_identity(rows.once_each(own, None, late), None, *gate_rows.COPIES)
    near = run.between("event_on", before=late.days + 1, after=1)
    known = silver.where(f"{near} AND NOT ({run.between('cut_on')})")
    before = run.between("event_on", before=rows.LINK_DAYS + 1)
    earlier = silver.where(f"{before} AND cut_on < DATE'{run.first}'")
    return rows.with_identity(rows.once_each(own, known, late), earlier, *gate_rows.COPIES)


def _catalog(run: Run, earlier: DataFrame | None) -> DataFrame:
    updates = _bronze(run, "bronze_catalog").where(run.between("received_on"))
    return rows.with_previous(rows.catalog_history(updates), earlier)
