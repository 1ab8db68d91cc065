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
MANY_DAYS = 10
"""The least and the greatest of fewer days say nothing."""
LEAST_ROWS = 100
LEAST_REFUSED = 10
"""Fewer refused records are no share."""
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


def thinner(*shares: str) -> Callable[[Day, list[Day]], float | None]:
    """How many fields are filled far less often than the days before can explain."""

    def number(day: Day, days: list[Day]) -> float | None:
        now = {share: day.figure(share) for share in shares}
        was = {share: [past.figure(share) for past in days] for share in shares}
        return sum(1.0 for one in shares if now[one] < min(was[one]) and _beyond(now[one], was[one]) > 0.15)

    return many(number)


def beyond(*shares: str) -> Callable[[Day, list[Day]], float | None]:
    """How far a share lies outside of what the days before showed, less the width of that: a steady share may move less."""

    def number(day: Day, days: list[Day]) -> float | None:
        return max(_beyond(day.figure(share), [past.figure(share) for past in days]) for share in shares)

    return many(number)


def _beyond(now: float, was: list[float]) -> float:
    least, most = min(was), max(was)
    return max(least - now, now - most, 0.0) - (most - least)


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


def fewer_kinds(
    counts: Sequence[str], visits: str, least: int = 15
) -> Callable[[Day, list[Day]], float | None]:
    """How many kinds come, for each visit, under six tenths as often as on the lowest day, where `least` were to come."""

    def number(day: Day, days: list[Day]) -> float | None:
        lowest = {name: min(_each(name, visits, past) for past in days) for name in counts}
        due = {name: low for name, low in lowest.items() if low * day.figure(visits) >= least}
        return sum(1.0 for name, low in due.items() if _each(name, visits, day) < 0.6 * low)

    return many(number)


def visits_thinner(
    counts: Sequence[str], visits: str, least: int = 15
) -> Callable[[Day, list[Day]], float | None]:
    """1 where several kinds come, and each of them far less for each visit than on any day before: events were lost."""
    fewer = fewer_kinds(counts, visits, least)

    def number(day: Day, days: list[Day]) -> float | None:
        due = sum(
            min(_each(name, visits, past) for past in days) * day.figure(visits) >= least for name in counts
        )
        found = fewer(day, days)
        return None if found is None else float(due > 1 and found == due)

    return number


def more_kinds(
    counts: Sequence[str], visits: str, least: int = 20
) -> Callable[[Day, list[Day]], float | None]:
    """How many kinds come, for each visit, over three times as often as on the highest day, `least` times or more."""

    def number(day: Day, days: list[Day]) -> float | None:
        highest = {name: max(_each(name, visits, past) for past in days) for name in counts}
        came = [name for name in counts if day.figure(name) >= least]
        return sum(1.0 for name in came if _each(name, visits, day) > 3 * highest[name])

    return many(number)


def many(number: Callable[[Day, list[Day]], float | None]) -> Callable[[Day, list[Day]], float | None]:
    """`number` where the days are enough for their extremes to mean something."""
    return lambda day, days: number(day, days) if len(days) >= MANY_DAYS else None


def _each(count: str, visits: str, day: Day) -> float:
    return day.figure(count) / max(1.0, day.figure(visits))


def _hours(day: Day) -> list[int]:
    """The hours of the day that have an event, from the bits of the measure `hours`."""
    bits = int(day.figure(f"{EVENTS}.{HOURS}"))
    return [hour for hour in range(24) if bits >> hour & 1]


def open_hours(day: Day, days: list[Day]) -> float | None:
    """Hours that have an event, over the usual number."""
    compared = [len(_hours(past)) for past in alike(day, days)]
    return len(_hours(day)) / mean(compared)


def hours_lost(day: Day, days: list[Day]) -> float | None:
    """How many hours are empty that had an event on every one of the days before."""
    always = set.intersection(*(set(_hours(past)) for past in days))
    return float(len(always - set(_hours(day))))


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
    """Records refused at the door over all that came to it; a handful is anybody's, and stops no quiet day."""
    refused, events = day.figure(rows_of("bronze_rejected")), day.figure(rows_of(EVENTS))
    return refused / (refused + events) if refused >= LEAST_REFUSED else 0.0
