"""The plain Python reference of every stored aggregate: events go in one by one, the value can be asked at any time.

It is what the engines are held against, and how Spark makes the history of stream rows (the row after each event).
Every value is a function of the *set* of events added, whatever their order.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from heapq import nsmallest
from typing import Any, Protocol

from contracts.clock import EPOCH
from contracts.consent import withdrawn_at
from contracts.features import (
    DAY_MICROS,
    ByDay,
    Count,
    DistinctCount,
    Feature,
    First,
    Last,
    LastK,
    Max,
    Min,
    Source,
    Sum,
    Switched,
    TopCount,
    TopK,
    Value,
)

Event = Mapping[str, Any]
COMPUTED_COLUMNS: dict[str, Callable[[Event], Any]] = {
    "event_hour": lambda event: str(event["event_time"] // (DAY_MICROS // 24) % 24),
    "session_key": lambda event: f"{event['visitor_id']}|{event['session_id']}",
    "named_at": lambda event: event["named_items"] and f"{event['event_time']}\n{event['named_items']}",
    "withdrawn_at": withdrawn_at,
}


class Accumulator(Protocol):
    """One aggregate over the events added so far."""

    def add(self, event: Event, counts: bool) -> None:
        """Take an event of the view; `counts` says whether the feature aggregates it."""
        ...

    def value(self) -> Value: ...


class Row:
    """All features of one view over the events added so far."""

    def __init__(self, features: Sequence[Feature], cut_end_micros: int | None = None) -> None:
        self._features = [(feature, accumulator_of(feature)) for feature in features]
        self._cut_end = cut_end_micros

    def add(self, event: Event) -> None:
        for feature, accumulator in self._features:
            accumulator.add(event, counts(feature, event, self._cut_end))

    def values(self) -> list[Value]:
        """In the order of the features."""
        return [accumulator.value() for _, accumulator in self._features]


def compute(feature: Feature, events: Iterable[Event], cut_end_micros: int | None = None) -> Value:
    """The feature over a set of flat events of one entity.

    Args:
        cut_end_micros: the end of the cut, for features over trailing days.

    Raises:
        ValueError: it needs a cut and none is given, or it is not an aggregate of one entity's events.
    """
    row = Row([feature], cut_end_micros)
    for event in events:
        row.add(event)
    return row.values()[0]


def counts(feature: Feature, event: Event, cut_end_micros: int | None) -> bool:
    """Whether the feature aggregates this event of its view."""
    if feature.events and event["event_name"] not in feature.events:
        return False
    if any(event[column] != value for column, value in feature.where):
        return False
    if not feature.days:
        return True
    if cut_end_micros is None:
        raise ValueError(f"{feature.name} looks back {feature.days} days and needs a cut")
    time = event["effective_time" if feature.source is Source.CATALOG else "event_time"]
    return bool(time >= cut_end_micros - feature.days * DAY_MICROS)


def accumulator_of(feature: Feature) -> Accumulator:
    """An empty accumulator.

    Raises:
        ValueError: the feature is not an aggregate of one entity's events.
    """
    match feature.aggregate:
        case Count(column):
            return _Count(column)
        case Sum(column):
            return _Sum(column)
        case Min(column):
            return _Best(column, min)
        case Max(column):
            return _Best(column, max)
        case DistinctCount(column):
            return _Distinct(column)
        case First(column):
            return _Placed(column, min)
        case Last(column):
            return _Placed(column, max)
        case LastK(column, k):
            return _LastK(column, k)
        case TopK(column, k):
            return _TopK(column, k)
        case TopCount(column):
            return _TopCount(column)
        case ByDay(days, column):
            return _ByDay(days, column)
        case Switched():
            return _Switched(feature.aggregate)
        case other:
            raise ValueError(f"{feature.name} is {other}, not an aggregate of one entity's events")


def column_of(event: Event, column: str) -> Any:
    """A column that the event carries or that is computed from it."""
    computed = COMPUTED_COLUMNS.get(column)
    return event[column] if computed is None else computed(event)


class _Count:
    def __init__(self, column: str | None) -> None:
        self._column, self._n = column, 0

    def add(self, event: Event, counts: bool) -> None:
        self._n += counts and (self._column is None or column_of(event, self._column) is not None)

    def value(self) -> int:
        return self._n


class _Sum:
    def __init__(self, column: str) -> None:
        self._column, self._sum = column, 0

    def add(self, event: Event, counts: bool) -> None:
        if counts:
            self._sum += column_of(event, self._column) or 0

    def value(self) -> int:
        return self._sum


class _Best:
    """The least or the greatest value."""

    def __init__(self, column: str, choose: Callable[..., Any]) -> None:
        self._column, self._choose, self._best = column, choose, None

    def add(self, event: Event, counts: bool) -> None:
        value = column_of(event, self._column) if counts else None
        if value is not None:
            self._best = value if self._best is None else self._choose(self._best, value)

    def value(self) -> Value:
        return self._best


class _Distinct:
    def __init__(self, column: str) -> None:
        self._column, self._seen = column, set[Any]()

    def add(self, event: Event, counts: bool) -> None:
        if counts:
            self._seen.add(column_of(event, self._column))

    def value(self) -> int:
        return len(self._seen - {None})


class _Placed:
    """The value of the first or the last event."""

    def __init__(self, column: str, choose: Callable[..., Any]) -> None:
        self._column, self._choose = column, choose
        self._held: tuple[int, str, Any] | None = None

    def add(self, event: Event, counts: bool) -> None:
        value = column_of(event, self._column) if counts else None
        if value is not None:
            given = (event["event_time"], event["event_id"], value)
            self._held = given if self._held is None else self._choose(self._held, given)

    def value(self) -> Value:
        return None if self._held is None else self._held[2]


class _LastK:
    def __init__(self, column: str, k: int) -> None:
        self._column, self._k = column, k
        self._oldest_first: list[tuple[int, str, Any]] = []

    def add(self, event: Event, counts: bool) -> None:
        value = column_of(event, self._column) if counts else None
        if value is not None:
            insort(self._oldest_first, (event["event_time"], event["event_id"], value))
            del self._oldest_first[: -self._k]

    def value(self) -> Value:
        return [value for _, _, value in reversed(self._oldest_first)] or None


class _TopK:
    def __init__(self, column: str, k: int) -> None:
        self._column, self._k, self._counts = column, k, Counter[Any]()

    def add(self, event: Event, counts: bool) -> None:
        value = column_of(event, self._column) if counts else None
        if value is not None:
            self._counts[value] += 1

    def value(self) -> Value:
        top = nsmallest(self._k, self._counts.items(), key=lambda pair: (-pair[1], pair[0]))
        return [value for value, _ in top] or None


class _TopCount(_TopK):
    def __init__(self, column: str) -> None:
        super().__init__(column, 1)

    def value(self) -> int:
        return max(self._counts.values(), default=0)


class _ByDay:
    def __init__(self, days: int, column: str | None) -> None:
        self._days, self._column, self._newest = days, column, 0
        self._n = Counter[int]()

    def add(self, event: Event, counts: bool) -> None:
        day = event["event_time"] // DAY_MICROS
        self._newest = max(self._newest, day)
        if counts:
            self._n[day] += 1 if self._column is None else column_of(event, self._column) or 0

    def value(self) -> Value:
        kept = sorted(
            (day for day, n in self._n.items() if n > 0 and day > self._newest - self._days), reverse=True
        )
        return [f"{(EPOCH + timedelta(days=day)).date()}={self._n[day]}" for day in kept] or None


class _Switched:
    def __init__(self, switched: Switched) -> None:
        self._of = switched
        self._newest: dict[str, tuple[int, str, bool]] = {}

    def add(self, event: Event, counts: bool) -> None:
        value = column_of(event, self._of.column) if counts else None
        if value is not None:
            how = event[self._of.switch]
            value = "" if how == self._of.clears else value
            given = (event["event_time"], event["event_id"], how == self._of.on)
            self._newest[value] = max(self._newest.get(value, given), given)

    def value(self) -> Value:
        newest = sorted(self._newest, key=self._place, reverse=True)[: self._of.k]
        newest = newest[: newest.index("")] if "" in newest else newest
        return [value for value in newest if self._newest[value][2]] or None

    def _place(self, value: str) -> tuple[int, str, str]:
        event_time, event_id, _ = self._newest[value]
        return event_time, event_id, value
