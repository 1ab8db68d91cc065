"""One daily cut: what a batch run may see, and when its result is published.

Cut D holds the events with event_time < D+1 00:00 UTC that were received before D+1 00:00 + publish_delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Cut:
    """The cut of one day."""

    on: date
    publish_delay: timedelta = timedelta(hours=2)

    @property
    def end(self) -> datetime:
        """Events of the cut have event_time < end."""
        return datetime.combine(self.on + timedelta(days=1), time(), tzinfo=UTC)

    @property
    def published_at(self) -> datetime:
        """Events of the cut were received before this; the first publication carries it."""
        return self.end + self.publish_delay

    def start_of(self, days: int) -> datetime:
        """The first instant of the trailing window of `days` days that ends at the cut."""
        return self.end - timedelta(days=days)


def days_between(first: date, last: date) -> list[date]:
    """Every date from `first` to `last`, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
