"""What the gates leave: every verdict, and each day's figures, which later days are compared with.

`_gates.jsonl` has a line a cut and rule (cut, gate, rule, cause, observed, passed); `_measures.jsonl` a line a cut and gate
(cut, gate, passed, figures). The newest line counts: a cut that was refused when last tried is no history.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from contracts.expectations import INGEST, Day, Gate, Rule, rows_of
from contracts.expectations.rules import EVENTS
from contracts.settings import Settings

Numbers = dict[str, float | None]


def verdicts_file(settings: Settings) -> Path:
    """Every verdict, one JSON line each."""
    return settings.lake / "_gates.jsonl"


def measures_file(settings: Settings) -> Path:
    """Every day's figures, one JSON line a gate."""
    return settings.lake / "_measures.jsonl"


def keep(
    settings: Settings,
    rules: Iterable[Rule],
    days: Iterable[Day],
    numbers: Mapping[date, Numbers],
    broken: Iterable[tuple[str, date]],
) -> None:
    """Append the verdicts and figures of the days; rules are of one gate."""
    declared, refused_rules = tuple(rules), set(broken)
    gate = declared[0].gate
    with verdicts_file(settings).open("a") as verdicts, measures_file(settings).open("a") as measures:
        for day in days:
            cut = {"cut": day.on.isoformat(), "gate": gate.value}
            for rule in declared:
                passed = (rule.name, day.on) not in refused_rules
                verdict = {"rule": rule.name, "cause": rule.cause, "observed": numbers[day.on][rule.name]}
                verdicts.write(json.dumps({**cut, **verdict, "passed": passed}) + "\n")
            whole = not any(on == day.on for _, on in refused_rules)
            measures.write(json.dumps({**cut, "passed": whole, "figures": day.figures}) + "\n")


def history(settings: Settings, gate: Gate) -> list[Day]:
    """The days that passed the gate when they were last tried, in order."""
    newest = {line["cut"]: line for line in _lines(measures_file(settings)) if line["gate"] == gate.value}
    passed = (line for line in newest.values() if line["passed"])
    return sorted(
        (Day(date.fromisoformat(line["cut"]), line["figures"]) for line in passed), key=lambda day: day.on
    )


def volumes(settings: Settings) -> dict[date, int]:
    """Events of each cut that passed the ingest gate when it was last tried."""
    return {day.on: int(day.figure(rows_of(EVENTS))) for day in history(settings, INGEST)}


def refused(settings: Settings, cuts: Iterable[date]) -> list[tuple[str, date]]:
    """The rules that refused these cuts' ingest when it was last tried, with the cut."""
    asked = {cut.isoformat(): cut for cut in cuts}
    newest = {
        (line["cut"], line["rule"]): line
        for line in _lines(verdicts_file(settings))
        if line["gate"] == INGEST.value and line["cut"] in asked
    }
    return [(line["rule"], asked[line["cut"]]) for line in newest.values() if not line["passed"]]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file():
        with path.open() as lines:
            yield from (json.loads(line) for line in lines)
