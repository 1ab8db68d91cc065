"""The trial: clean days first, then every fault in its turn, each held against what silver was before it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from contracts.adapters.wire import Source
from contracts.logs import RoomLog
from contracts.settings import Settings
from infra.adapt import adapt_range
from infra.dayfiles import write_day
from infra.faults.door import BadRecord, bad_records
from infra.faults.edits import Planted, Sent, plant
from infra.faults.fault import DEFAULT_DAY, REFUSED_RECORD, Expected, Fault, FaultError
from infra.faults.judge import Seen, caught, only_the_door, original_id, through_the_door, write
from infra.faults.plan import CLEAN_FROM, CLEAN_TO, HISTORY_FROM, clean_days, history_days
from infra.faults.rehearsal import Answer, Rehearsal, Row, rehearsal

log = RoomLog("infra")

BATCH = ("bronze", "silver")
Silver = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one fault; `outcome` is the expected outcome that came about, None for a miss."""

    kind: str
    name: str
    what: str
    expected: Expected
    outcome: str | None
    became: str
    rules: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        expected = {
            "outcome": self.expected.outcomes,
            "field": self.expected.fields,
            "cause": self.expected.causes,
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "what": self.what,
            "expected": {name: value for name, value in expected.items() if value},
            "caught": self.outcome is not None,
            "became": self.became,
            "rules": self.rules,
            "seconds": self.seconds,
        }


@dataclass(slots=True)
class Trial:
    """One lake with clean history, and the application that runs cuts on it."""

    settings: Settings
    source: Source
    spark: Rehearsal
    clean: dict[date, Silver] = field(default_factory=dict)

    @staticmethod
    @contextmanager
    def open(settings: Settings, source: Source) -> Iterator[Trial]:
        """Day files of history and clean days, and the application."""
        settings.lake.mkdir(parents=True)
        adapt_range(settings.days, source, [*history_days(), *clean_days()])
        with rehearsal(settings, source.name) as spark:
            yield Trial(settings, source, spark)

    def clean_days(self, with_gold: bool) -> dict[str, Any]:
        """Run history and the thirty clean days: the alarms among them, which should be none.

        Raises:
            FaultError: the clean history itself is refused, so that nothing can be planted.
        """
        before = self.spark.run(BATCH, HISTORY_FROM, history_days()[-1])
        jobs = (*BATCH, "gold") if with_gold else BATCH
        answer = self.spark.run(jobs, CLEAN_FROM, CLEAN_TO)
        alarms = [f"{one['cut']} {one['rule']} {one['observed']}" for one in (*before.broken, *answer.broken)]
        for alarm in alarms:
            log("false_alarm", level="warning", alarm=alarm)
        if before.code:
            raise FaultError(f"clean history is refused: {before.error}")
        if answer.code:
            for on in clean_days():
                self.spark.run(BATCH, on, on)
        closed = [on for on in clean_days() if not self.source.read_day(on).events]
        return {"false_alarms": len({alarm.split()[0] for alarm in alarms}), "alarms": alarms,
                "clean_days": len(clean_days()), "closed_days": len(closed)}  # fmt: skip

    def records(self) -> list[Result]:
        """Every bad record of the contract in one day: each must be refused for its field, and silver be the clean day's."""
        day = self.source.read_day(DEFAULT_DAY)
        bad = [_named(one, n) for n, one in enumerate(bad_records(_full(day.events), day.catalog[0]))]
        planted = Planted([Sent(one) for one in day.events], [Sent(one) for one in day.catalog])
        for one in bad:
            getattr(planted, one.into).append(Sent(one.record, bad=True))
        seen = self._run(planted, DEFAULT_DAY)
        reasons = _reasons(bad, seen)
        untouched = seen.answer.code == 0 and seen.after == seen.clean
        return [_of_record(one, reasons[one.name], untouched, seen.answer) for one in bad]

    def days(self, faults: Sequence[tuple[str, Fault]]) -> list[Result]:
        """A run a fault, newest days first: what a run leaves in silver is then history to no later one."""
        results = []
        for kind, fault in sorted(faults, key=lambda pair: pair[1].day, reverse=True):
            started = time.perf_counter()
            seen = self._run(plant(self.source.read_day(fault.day), fault), fault.day, fault.expect)
            outcome = caught(fault.expect, seen)
            seconds = round(time.perf_counter() - started, 1)
            log(
                "fault", name=fault.name, caught=outcome is not None, rules=seen.answer.rules, seconds=seconds
            )
            results.append(
                Result(
                    kind,
                    fault.name,
                    fault.what,
                    fault.expect,
                    outcome,
                    _became(seen),
                    seen.answer.rules,
                    seconds,
                )
            )
        for on in {fault.day for _, fault in faults}:
            write_day(self.settings.days, self.source, on)
        return results

    def _run(self, planted: Planted, on: date, expect: Expected | None = None) -> Seen:
        clean = self._clean(on)
        passed = through_the_door(planted, self.source.name, on)
        if expect is not None and only_the_door(expect, passed, self._admitted(on)):
            # What is left is a part of the clean day, record by record: the door alone decided.
            return Seen(passed, Answer(0, [], {}, None), [], clean, clean, clean)
        before = self.spark.silver(on)
        write(self.settings, self.source.name, on, passed)
        answer = self.spark.run(BATCH, on, on)
        return Seen(passed, answer, self.spark.rejected(on), before, clean, self.spark.silver(on))

    def _admitted(self, on: date) -> dict[str, list[bytes]]:
        """The clean day's records behind the door."""
        day = self.source.read_day(on)
        clean = Planted([Sent(one) for one in day.events], [Sent(one) for one in day.catalog])
        return through_the_door(clean, self.source.name, on).lines

    def _clean(self, on: date) -> Silver:
        """Silver of the clean day, read before the first fault is planted into it."""
        if on not in self.clean:
            self.clean[on] = self.spark.silver(on)
        return self.clean[on]


def _full(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An event that has a user and an item: the mutations start from it."""
    return next(one for one in events if one.get("user_id") and one["event_name"] == "add_to_cart")


def _named(bad: BadRecord, n: int) -> BadRecord:
    """With ids of its own where the mutation left them, so that it can be looked for."""
    record = dict(bad.record)
    name = "event_id" if bad.into == "events" else "item_id"
    if bad.field != name:
        record[name] = f"fault-{n}"
    return replace(bad, record=record)


def _reasons(bad: Sequence[BadRecord], seen: Seen) -> dict[str, list[str]]:
    """Of each bad record the fields that it was refused for; too_late ones are refused by bronze."""
    decided = iter(seen.passed.refused)
    late = {original_id(original) for reason, original in seen.rejected if reason == "too_late"}
    reasons = {}
    for into in ("events", "catalog"):
        for one in (one for one in bad if one.into == into):
            number = one.record.get("event_id" if into == "events" else "item_id")
            if isinstance(number, str) and seen.passed.admitted[number]:
                reasons[one.name] = ["too_late"] if number in late else []
            else:
                reasons[one.name] = next(decided, [])
    return reasons


def _of_record(bad: BadRecord, reasons: list[str], untouched: bool, answer: Answer) -> Result:
    outcome = REFUSED_RECORD if bad.field in reasons and untouched else None
    became = f"refused for {', '.join(reasons)}" if reasons else "admitted"
    expected = Expected(REFUSED_RECORD, field=bad.field)
    return Result("record", bad.name, bad.name, expected, outcome, became, answer.rules)


def _became(seen: Seen) -> str:
    fields = sorted({name for names in seen.passed.refused for name in names})
    door = f"{len(seen.passed.refused)} records refused for {', '.join(fields)}; " if fields else ""
    day = f"the day refused for {', '.join(seen.answer.causes)}" if seen.answer.code else "the day accepted"
    same = (
        "silver as before"
        if seen.after == seen.before
        else "silver as clean"
        if seen.after == seen.clean
        else "silver changed"
    )
    return f"{door}{day}, {same}"


def spark_jobs(settings: Settings) -> dict[str, int]:
    """The most Spark jobs that a gate took for each table, by the application's own log."""
    most: dict[str, int] = {}
    for line in judged(settings):
        for table, jobs in line["spark_jobs"].items():
            most[table] = max(most.get(table, 0), jobs)
    return most


def judged(settings: Settings) -> list[dict[str, Any]]:
    """What the application logged of each gate."""
    lines = (settings.logs / "faults.log").read_text().splitlines()
    return [json.loads(line) for line in lines if '"event": "gate_judged"' in line]
