"""A day held against the days before it: pure functions of measures.

Only open days count, and none is judged with fewer than `MIN_TRAILING_DAYS` of them or under `LEAST_ROWS` rows: shares
of a handful say nothing. Days of the same weekday are compared where there are enough, so that a shop that closes
early on Sundays is not late on each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp
from statistics import mean

from contracts.expectations.rules import EVENTS, Day, Number

TRAILING_DAYS = 28
"""How far back a day is compared."""
MIN_TRAILING_DAYS = 5
"""With fewer open days before it, a day is not judged."""
SAME_WEEKDAYS = 3
"""With so many of its own weekday before it, a day is compared with these alone."""
LEAST_ROWS = 100
ROWS = "rows"
HOURS = "hours"


def rows_of(table: str) -> str:
    """The name of the measure that counts a table's rows."""
    return f"{table}.{ROWS}"


def before(day: Day, history: Sequence[Day], table: str) -> list[Day]:
    """The open days that `day` is compared with: too few make it empty."""
    near = [past for past in history if 0 < (day.on - past.on).days <= TRAILING_DAYS]
    opened = [past for past in near if past.figure(rows_of(table)) > 0]
    return opened if len(opened) >= MIN_TRAILING_DAYS else []


def judged(
    number: Callable[[Day, list[Day]], float | None], table: str = EVENTS, least: int = LEAST_ROWS
) -> Number:
    """`number` of a day that has enough rows, against its open days."""

    def guarded(day: Day, history: Sequence[Day]) -> float | None:
        compared = before(day, history, table)
        enough = day.figure(rows_of(table)) >= least
        return number(day, compared) if compared and enough else None

    return guarded


def alone(measure: str, table: str = EVENTS, least: int = LEAST_ROWS) -> Number:
    """The day's own figure, where it has enough rows."""

    def number(day: Day, _: Sequence[Day]) -> float | None:
        return day.figures.get(measure) if day.figure(rows_of(table)) >= least else None

    return number


def alike(day: Day, days: list[Day]) -> list[Day]:
    """Those of the day's own weekday where they are enough, else all."""
    same = [past for past in days if past.on.weekday() == day.on.weekday()]
    return same if len(same) >= SAME_WEEKDAYS else days


def usual(measure: str, days: Sequence[Day]) -> float | None:
    """The mean of a figure over the days that have it."""
    known = [figure for day in days if (figure := day.figures.get(measure)) is not None]
    return mean(known) if known else None


def ratio(measure: str, by_weekday: bool = False) -> Callable[[Day, list[Day]], float | None]:
    """The day's figure over the usual one; None where the usual is 0."""

    def number(day: Day, days: list[Day]) -> float | None:
        expected = usual(measure, alike(day, days) if by_weekday else days)
        return day.figure(measure) / expected if expected else None

    return number


def change(*measures: str) -> Callable[[Day, list[Day]], float | None]:
    """The greatest change, up or down, of shares against the usual ones."""

    def number(day: Day, days: list[Day]) -> float | None:
        changes = [_change(measure, day, days) for measure in measures]
        known = [one for one in changes if one is not None]
        return max(known, key=abs) if known else None

    return number


def _change(measure: str, day: Day, days: list[Day]) -> float | None:
    now, expected = day.figures.get(measure), usual(measure, days)
    return None if now is None or expected is None else now - expected


def factor(*logs: str) -> Callable[[Day, list[Day]], float | None]:
    """How many times as large as usual, in the geometric mean: the farthest from 1 of several; a shrunk one as 1/n."""

    def number(day: Day, days: list[Day]) -> float | None:
        moved = change(*logs)(day, days)
        return None if moved is None else exp(abs(moved))

    return number


def quotient(above: str, below: str) -> Callable[[Day, list[Day]], float | None]:
    """The day's above/below over the mean of the days'."""

    def of(day: Day) -> float | None:
        return day.figure(above) / day.figure(below) if day.figure(below) else None

    def number(day: Day, days: list[Day]) -> float | None:
        known = [found for past in days if (found := of(past)) is not None]
        now = of(day)
        return now / mean(known) if known and now is not None else None

    return number


def lost(*shares: str) -> Callable[[Day, list[Day]], float | None]:
    """How many of the fields that used to be filled are all but empty: under a tenth of what was usual."""

    def number(day: Day, days: list[Day]) -> float:
        usuals = {share: usual(share, days) or 0.0 for share in shares}
        return sum(1.0 for share, was in usuals.items() if was >= 0.05 and day.figure(share) < was / 10)

    return number


def missing_kinds(counts: Sequence[str], least: int = 20) -> Callable[[Day, list[Day]], float | None]:
    """How many kinds of events are all but gone, of those that `least` would be expected of."""

    def number(day: Day, days: list[Day]) -> float:
        rows, past = day.figure(rows_of(EVENTS)), sum(one.figure(rows_of(EVENTS)) for one in days)
        expected = {name: rows * sum(one.figure(name) for one in days) / past for name in counts}
        return sum(1.0 for name, n in expected.items() if n >= least and day.figure(name) < 0.15 * n)

    return number


def grown_kinds(counts: Sequence[str]) -> Callable[[Day, list[Day]], float | None]:
    """How many kinds of events have more than a tenth of the day beyond three times their usual share."""

    def number(day: Day, days: list[Day]) -> float:
        rows, past = day.figure(rows_of(EVENTS)), sum(one.figure(rows_of(EVENTS)) for one in days)
        usuals = {name: sum(one.figure(name) for one in days) / past for name in counts}
        return sum(1.0 for name, share in usuals.items() if day.figure(name) / rows > 0.1 + 3 * share)

    return number


def _hours(day: Day) -> list[int]:
    """The hours of the day that have an event, from the bits of the measure `hours`."""
    bits = int(day.figure(f"{EVENTS}.{HOURS}"))
    return [hour for hour in range(24) if bits >> hour & 1]


def open_hours(day: Day, days: list[Day]) -> float | None:
    """Hours that have an event, over the usual number."""
    compared = [len(_hours(past)) for past in alike(day, days)]
    return len(_hours(day)) / mean(compared)


def first_hour(day: Day, days: list[Day]) -> float | None:
    """How many hours later than usual the day begins."""
    return min(_hours(day)) - mean(min(_hours(past)) for past in alike(day, days))


def last_hour(day: Day, days: list[Day]) -> float | None:
    """How many hours later than usual the day ends."""
    return max(_hours(day)) - mean(max(_hours(past)) for past in alike(day, days))


def absent(measure: str) -> Callable[[Day, list[Day]], float | None]:
    """1 where there is nothing of what came on each day before, else 0."""

    def number(day: Day, days: list[Day]) -> float:
        return float(not day.figure(measure) and all(past.figure(measure) for past in days))

    return number


def reject_share(day: Day, history: Sequence[Day]) -> float | None:
    """Records refused at the door over all that came to it."""
    refused, events = day.figure(rows_of("bronze_rejected")), day.figure(rows_of(EVENTS))
    return refused / (refused + events) if refused else 0.0
