"""The gates: rules and measures compile to one aggregation a table, Great Expectations judges each day's row of numbers.

A day is held against the days before it by the figures that the gate kept of them (`spark_jobs.gate_log`). A refused day
raises an alarm (`contracts.alarms`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from contracts.alarms import Alarm, raise_alarm
from contracts.clock import WallClock, to_rfc3339
from contracts.errors import GateError
from contracts.expectations import Day, Gate, Rule, measures_of, rows_of, rules_of
from contracts.logs import RoomLog
from contracts.settings import Settings
from spark_jobs.gate_log import Numbers, history, keep, refused, verdicts_file, volumes
from spark_jobs.run import Run

EXIT_CODE = 3
SHOWN = 5
"""Broken rules that the error names."""
log_file = verdicts_file
__all__ = ["EXIT_CODE", "Counted", "log_file", "measure", "pass_gate", "refused", "volumes"]
log = RoomLog("spark_jobs")


@dataclass(frozen=True, slots=True)
class Counted:
    """A table's rows of the run, and the date column that says whose cut they are."""

    table: str
    frame: DataFrame
    day: str


def pass_gate(run: Run, gate: Gate, tables: Sequence[Counted]) -> None:
    """Measure every day of the run, have the numbers judged, and keep the verdicts.

    Raises:
        GateError: a rule is broken; names table, rule, day, observed and allowed.
    """
    from spark_jobs.expectations import judge

    if not run.gated:
        return
    started = time.perf_counter()
    given = {counted.table for counted in tables}
    rules = [rule for rule in rules_of(gate, run.settings) if rule.table in given]
    found: dict[str, dict[date, Numbers]] = {}
    jobs: dict[str, int] = {}
    for counted in tables:
        with _counting(run, gate) as count:
            found[counted.table] = measure(counted, rules)
            jobs[counted.table] = count()
    days = [_figures(gate, on, found) for on in run.days]
    numbers = _numbers(rules, days, found, history(run.settings, gate))
    broken = judge(run.settings, gate, rules, numbers)
    keep(run.settings, rules, days, numbers, broken)
    log(
        "gate_judged",
        gate=gate,
        days=len(days),
        broken=len(broken),
        seconds=_seconds_since(started),
        spark_jobs=jobs,
    )
    if broken:
        said = "; ".join(_said(rules, name, on, numbers[on][name]) for name, on in broken[:SHOWN])
        _alarm(run.settings, broken, said)
        raise GateError(said)


@contextmanager
def _counting(run: Run, gate: Gate) -> Iterator[Callable[[], int]]:
    """Counts the Spark jobs that the block starts."""
    context, group = run.spark.sparkContext, f"gate {gate.value} {time.monotonic_ns()}"
    context.setJobGroup(group, group)
    try:
        yield lambda: len(context.statusTracker().getJobIdsForGroup(group))
    finally:
        context._jsc.clearJobGroup()


def measure(counted: Counted, rules: Sequence[Rule]) -> dict[date, Numbers]:
    """Every rule's number and every measure of each day that has rows, by one aggregation."""
    own = [rule for rule in rules if rule.table == counted.table and rule.number is None]
    gate = rules[0].gate
    numbers = [F.count("*").alias(rows_of(counted.table)), *(_of_rows(rule).alias(rule.name) for rule in own)]
    numbers += [F.expr(one.sql).alias(one.name) for one in measures_of(gate, counted.table)]
    rows = counted.frame.groupBy(F.col(counted.day).alias("day")).agg(*numbers).collect()
    return {row["day"]: {name: _plain(row[name]) for name in row.asDict() if name != "day"} for row in rows}


def _of_rows(rule: Rule) -> Column:
    broken, among = f"COUNT_IF({rule.violation})", f"COUNT_IF({rule.among})"
    return F.expr(f"IF({among} >= {rule.least}, {broken} / {among}, NULL)" if rule.share else broken)


def _plain(value: object) -> float | None:
    """A figure as JSON keeps it."""
    return None if value is None else value if isinstance(value, int) else float(value)  # type: ignore[arg-type]


def _figures(gate: Gate, on: date, found: Mapping[str, Mapping[date, Numbers]]) -> Day:
    """The day's measures; 0 rows where it has none."""
    figures: Numbers = {}
    for table, days in found.items():
        measured = days.get(on, {})
        names = (rows_of(table), *(one.name for one in measures_of(gate, table)))
        figures |= {name: measured.get(name) for name in names}
        figures[rows_of(table)] = measured.get(rows_of(table)) or 0
    return Day(on, figures)


def _numbers(
    rules: Sequence[Rule], days: Sequence[Day], found: Mapping[str, Mapping[date, Numbers]], past: list[Day]
) -> dict[date, Numbers]:
    """What each rule judges, by day; a day of the run is history for the days after it."""
    known = {day.on: day for day in past}
    numbers: dict[date, Numbers] = {}
    for day in days:
        earlier = [known[on] for on in sorted(known) if on < day.on]
        numbers[day.on] = {
            rule.name: found[rule.table].get(day.on, {}).get(rule.name, 0)
            if rule.number is None
            else rule.number(day, earlier)
            for rule in rules
        }
        known[day.on] = day
    return numbers


def _alarm(settings: Settings, broken: Sequence[tuple[str, date]], said: str) -> None:
    now = to_rfc3339(WallClock().now())
    for on in sorted({on for _, on in broken}):
        raise_alarm(settings, Alarm("gate", now, said, on.isoformat()), log)


def _said(rules: Sequence[Rule], name: str, on: date, observed: float | None) -> str:
    rule = next(rule for rule in rules if rule.name == name)
    least = "" if rule.minimum is None else f"at least {rule.minimum:g} and "
    return (
        f"gate {rule.gate.value} refuses {on}: {rule.table}, rule {name} ({rule.cause}): "
        f"observed {observed}, allowed {least}at most {rule.allowed:g}"
    )


def _seconds_since(started: float) -> float:
    return round(time.perf_counter() - started, 3)
