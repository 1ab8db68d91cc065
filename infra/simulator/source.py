"""The simulated shop behind the interface of every source."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from contracts.adapters.made_up import MADE_UP
from contracts.adapters.wire import WireDay, by_time
from contracts.errors import SourceError
from infra.simulator.catalog import build_catalog
from infra.simulator.day import events_of
from infra.simulator.parameters import ShopParameters

MONDAY = 0


@dataclass(frozen=True, slots=True)
class SimulatedShop:
    """A day depends on the parameters and its date alone; the shop never closes."""

    parameters: ShopParameters

    @property
    def name(self) -> str:
        return "simulator"

    @property
    def made_up(self) -> dict[str, str]:
        return MADE_UP[self.name]

    def days(self) -> list[date]:
        """Only the first: there is no last one."""
        return [self.parameters.first_day]

    def read_day(self, on: date) -> WireDay:
        """The records of `on`; the whole catalog on the first day and on Mondays, else what changed.

        Raises:
            SourceError: the shop had not opened.
        """
        if on < self.parameters.first_day:
            raise SourceError(f"the simulator has no {on}: its shop opens on {self.parameters.first_day}")
        everything = on == self.parameters.first_day or on.weekday() == MONDAY
        updates = build_catalog(self.parameters).updates(on, everything)
        return WireDay(by_time(list(events_of(self.parameters, on)), "event_time"), updates)
