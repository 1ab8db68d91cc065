"""Which days the faults are planted into, and the same shop sixteen times as large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from contracts.adapters.wire import Record, Source, WireDay
from contracts.cuts import days_between
from contracts.settings import Settings
from infra.demo.plan import plan_for
from infra.sources import source_named

HISTORY_FROM = date(2011, 6, 20)
CLEAN_FROM, CLEAN_TO = date(2011, 8, 1), date(2011, 8, 30)
"""Thirty days in a row, Saturdays and a bank holiday among them, on which the real shop was closed."""
COPIES = 16
COST_FROM, COST_ON = date(2011, 7, 25), date(2011, 8, 24)
"""A month, which gold looks back on."""
ROUNDS = 5
OWN = ("event_id", "visitor_id", "user_id", "session_id")


@dataclass(frozen=True, slots=True)
class Larger:
    """A source with every visit `copies` times, each time by another shopper; the catalog stays."""

    source: Source
    copies: int

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def made_up(self) -> dict[str, str]:
        return self.source.made_up

    def days(self) -> list[date]:
        return self.source.days()

    def read_day(self, on: date) -> WireDay:
        day = self.source.read_day(on)
        events = [_again(event, n) for event in day.events for n in range(self.copies)]
        return WireDay(events, day.catalog, list(day.refused) * self.copies)


def _again(event: Record, n: int) -> Record:
    return event | {name: f"{event[name]}~{n}" for name in OWN if event.get(name) is not None}


def base(settings: Settings) -> tuple[Source, bool]:
    """The real shop where its files are found, else the simulator's; and whether it is real."""
    plan = plan_for(settings)
    return source_named(settings, plan.source), plan.real


def clean_days() -> Sequence[date]:
    """The days that must raise no alarm."""
    return days_between(CLEAN_FROM, CLEAN_TO)


def history_days() -> Sequence[date]:
    """The days before them, which they are compared with."""
    return days_between(HISTORY_FROM, CLEAN_FROM - timedelta(days=1))
