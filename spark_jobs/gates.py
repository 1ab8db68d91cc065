"""The gates: rules compile to one aggregation a table, Great Expectations judges the row of numbers of each day.

Every verdict is a line of `var/lake/_gates.jsonl` (cut, gate, rule, observed, passed, and the day's events): it is the
history that volumes are compared with, and it says which cuts were refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from contracts.errors import GateError
from contracts.expectations import INGEST, RULES, Gate, rules_of
from contracts.expectations.rules import MIN_TRAILING_DAYS, TRAILING_DAYS
from contracts.settings import Settings
from spark_jobs.run import Run

EXIT_CODE = 3
ROWS = "rows"
Numbers = dict[str, float | None]


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

    found = {counted.table: measure(counted, gate) for counted in tables}
    history = volumes(run.settings) if gate is INGEST else {}
    numbers = {on: day_numbers(gate, on, found, history) for on in run.days}
    broken = judge(run.settings, gate, numbers)
    _keep(run.settings, gate, numbers, broken)
    if broken:
        raise GateError("; ".join(_said(gate, name, on, numbers[on][name]) for name, on in broken[:5]))


def measure(counted: Counted, gate: Gate) -> dict[date, Numbers]:
    """Every rule's number of every day that has rows, by one aggregation; `rows` counts them."""
    numbers = [F.count("*").alias(ROWS)]
    for rule in rules_of(gate, counted.table):
        broken = F.expr(f"COUNT_IF({rule.violation})")
        of = F.expr(f"NULLIF(COUNT_IF({rule.among}), 0)")
        numbers.append((broken / of if rule.share else broken).alias(rule.name))
    rows = counted.frame.groupBy(F.col(counted.day).alias("day")).agg(*numbers).collect()
    return {row["day"]: {name: row[name] for name in row.asDict() if name != "day"} for row in rows}


def day_numbers(
    gate: Gate, on: date, found: Mapping[str, Mapping[date, Numbers]], history: dict[date, int]
) -> Numbers:
    """The numbers of one day, 0 for a closed one; its volume joins `history`.

    Args:
        history: events of the cuts before.
    """
    numbers: Numbers = {}
    for table, days in found.items():
        measured = days.get(on, {})
        numbers.update({rule.name: measured.get(rule.name, 0) for rule in rules_of(gate, table)})
    if gate is INGEST:
        events, rejected = (
            int(found[t].get(on, {}).get(ROWS) or 0) for t in ("bronze_events", "bronze_rejected")
        )
        numbers["reject_share"] = rejected / (events + rejected) if rejected else 0
        numbers["volume_ratio"] = volume_ratio(on, events, history)
        numbers[ROWS] = history[on] = events
    return numbers


def volume_ratio(on: date, events: int, history: Mapping[date, int]) -> float | None:
    """The day's events over the mean of the open days before; None when closed, or with too few of them."""
    before = [n for day, n in history.items() if n and 0 < (on - day).days <= TRAILING_DAYS]
    return events / mean(before) if events and len(before) >= MIN_TRAILING_DAYS else None


def volumes(settings: Settings) -> dict[date, int]:
    """Events of each cut that passed the ingest gate when it was last tried."""
    verdicts = _newest(settings, INGEST)
    bad = {verdict["cut"] for verdict in verdicts if not verdict["passed"]}
    days = {v["cut"]: v["events"] for v in verdicts if v["cut"] not in bad}
    return {date.fromisoformat(cut): events for cut, events in days.items()}


def refused(settings: Settings, cuts: Iterable[date]) -> list[tuple[str, date]]:
    """The rules that refused these cuts' ingest when it was last tried, with the cut."""
    asked = {cut.isoformat(): cut for cut in cuts}
    verdicts = _newest(settings, INGEST)
    return [(v["rule"], asked[v["cut"]]) for v in verdicts if v["cut"] in asked and not v["passed"]]


def log_file(settings: Settings) -> Path:
    """Every verdict, one JSON line each."""
    return settings.lake / "_gates.jsonl"


def _newest(settings: Settings, gate: Gate) -> list[dict[str, Any]]:
    """The newest verdict of each cut and rule."""
    path = log_file(settings)
    lines: Iterable[str] = path.read_text().splitlines() if path.is_file() else ()
    verdicts = (json.loads(line) for line in lines)
    return list({(v["cut"], v["rule"]): v for v in verdicts if v["gate"] == gate}.values())


def _keep(
    settings: Settings, gate: Gate, numbers: Mapping[date, Numbers], broken: list[tuple[str, date]]
) -> None:
    refused_rules = set(broken)
    with log_file(settings).open("a") as log:
        for on, day in numbers.items():
            for name in (name for name in day if name != ROWS):
                verdict = {"cut": on.isoformat(), "gate": gate.value, "rule": name, "observed": day[name]}
                passed = (name, on) not in refused_rules
                log.write(json.dumps({**verdict, "passed": passed, "events": day.get(ROWS)}) + "\n")


def _said(gate: Gate, name: str, on: date, observed: float | None) -> str:
    rule = next(rule for rule in RULES if rule.name == name)
    least = "" if rule.minimum is None else f"at least {rule.minimum:g} and "
    where = rule.table or "the day"
    return f"gate {gate.value} refuses {on}: {where}, rule {name}: observed {observed}, allowed {least}at most {rule.allowed:g}"
