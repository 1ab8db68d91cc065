"""Which days the demo runs: ten months of a real shop, or the simulator's shop on the same calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from contracts.settings import Settings


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How much the load pushes: paced events with requests beside them, then a burst."""

    events_per_second: int = 600
    seconds: int = 60
    requests_per_second: int = 95
    request_seconds: int = 57
    burst_events: int = 70_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The demo's calendar.

    Attributes:
        dag_days: cuts that Airflow runs, their events coming through Kafka.
        replay_on: the day replayed through Kafka while the scorer is asked.
        refused_on: the day whose prices are multiplied, so that the gate must refuse it.
        load_at: where the load's clock begins: after the last cut, so that no daily run reads it.
    """

    source: str
    real: bool
    backfill_from: date
    backfill_to: date
    dag_days: tuple[date, ...]
    replay_on: date
    refused_on: date
    load_at: datetime
    load: LoadPlan = LoadPlan()

    @property
    def served_cut(self) -> date:
        """The last good day: what serves while the replay runs and after the refused day."""
        return self.dag_days[-1]


PRICE_FACTOR = 100
HOW_TO_GET_THE_DATA = (
    "No real data found: this run is on the SIMULATOR. For the real shop, download UCI Online Retail "
    "(https://archive.ics.uci.edu/dataset/352/online+retail), split it into online-retail/YYYY-MM-DD.csv.gz, "
    "a file a trading day, and set BRAID_DATA to the folder that holds online-retail/."
)


def plan_for(settings: Settings) -> Plan:
    """The real shop where its files are found, else the simulator's."""
    real = settings.data is not None and any((settings.data / "online-retail").glob("*.csv.gz"))
    return Plan(
        source="online-retail" if real else "simulator",
        real=real,
        backfill_from=date(2010, 12, 1) if real else date(2011, 6, 1),
        backfill_to=date(2011, 8, 29),
        dag_days=(date(2011, 8, 30), date(2011, 8, 31), date(2011, 9, 1)),
        replay_on=date(2011, 9, 2),
        refused_on=date(2011, 9, 4),
        load_at=datetime(2011, 9, 5, 3, tzinfo=UTC),
    )
