"""The cases under tests/cases: events and hand-worked values, one truth for the reference, Spark and Flink.

Many cases share one run of an engine, so each case's ids begin with the case's name while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from contracts.catalog import read_catalog
from contracts.clock import from_micros, to_micros, to_rfc3339
from contracts.cuts import Cut
from contracts.events import PURPOSES, read_event
from contracts.features import EVERY_VIEW, Feature, Source, View

CASES = Path(__file__).parent.parent / "cases"
CUT = Cut(date(2011, 9, 1))
GRANTED_AT = "2011-01-01T00:00:00Z"
IDS = ("event_id", "visitor_id", "user_id", "session_id")
BREAK = "~"
FEATURES: dict[str, tuple[View, Feature]] = {
    feature.name: (view, feature) for view in EVERY_VIEW for feature in view.features
}


@dataclass(frozen=True, slots=True)
class Case:
    """One folder: flat events in the order of their arrival, catalog updates, and what each row of the view must say."""

    feature: str
    name: str
    events: tuple[dict[str, Any], ...]
    catalog: tuple[dict[str, Any], ...]
    rows: dict[str, Any]

    @property
    def view(self) -> View:
        return FEATURES[self.feature][0]

    @property
    def mark(self) -> str:
        """What its ids begin with."""
        return f"{self.feature}.{self.name}{BREAK}"

    def seen(self, rows: Mapping[tuple[str, ...], Mapping[str, Any]]) -> dict[str, Any]:
        """This case's values among the rows of an engine, by keys as expected.json writes them."""
        own = {
            key: row
            for key, row in rows.items()
            if any(part.startswith(self.mark) or self.mark in part for part in key)
        }
        found = {self._shown(key, own): self._own(row[self.feature]) for key, row in own.items()}
        return {key: found.get(key) for key in self.rows} if self.view.window_minutes else found

    def _shown(self, key: tuple[str, ...], own: Mapping[tuple[str, ...], Any]) -> str:
        """Keys without the mark; the choice about consent only where the case has rows of several."""
        parts = [part.replace(self.mark, "") for part in key]
        if self.view.starts_empty:
            alone = sum(other[:-1] == key[:-1] for other in own) == 1
            parts = parts[:-1] if alone else [*parts[:-1], to_rfc3339(from_micros(int(parts[-1])))[:19] + "Z"]
        if self.view.window_minutes:
            parts[-1] = from_micros(int(parts[-1])).strftime("%m-%d %H:%M")
        return "/".join(parts)

    def _own(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(self.mark, "")
        return [self._own(one) for one in value] if isinstance(value, list) else value


def load_cases() -> list[Case]:
    """Every case of a stored feature."""
    folders = sorted(path.parent for path in CASES.glob("*/*/events.jsonl"))
    return [load_case(folder) for folder in folders]


def load_case(folder: Path) -> Case:
    """One case; a record that the door would refuse is an error of the case."""
    feature, name = folder.parent.name, folder.name
    mark = f"{feature}.{name}{BREAK}"
    of_items = FEATURES[feature][0].source is Source.ITEMS
    lines = list(_lines(folder / "events.jsonl"))
    events = tuple(_flat_event(n, line, mark, of_items) for n, line in enumerate(lines, start=1))
    catalog = tuple(_flat_update(line, mark) for line in _lines(folder / "catalog.jsonl"))
    expected = json.loads((folder / "expected.json").read_text())
    return Case(feature, name, events, catalog, expected["rows"])


def placed(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The events as they lie in one partition."""
    return [{**event, "source_partition": 0, "source_offset": n} for n, event in enumerate(events)]


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    text = path.read_text() if path.is_file() else ""
    return (json.loads(line) for line in text.splitlines() if line.strip())


def _flat_event(n: int, line: dict[str, Any], mark: str, of_items: bool) -> dict[str, Any]:
    """The flat form of a line: a wire event in which the envelope may be left out and times may be short."""
    consent = {**dict.fromkeys(PURPOSES, "granted"), "changed_at": GRANTED_AT, **line.pop("consent", {})}
    happened = moment(line.pop("event_time"))
    record = {
        "event_id": f"e{n}",
        "schema_version": "1",
        "visitor_id": "v1",
        "session_id": "s1",
        "platform": "web",
    }
    record |= line | {"event_time": happened, "received_time": moment(line.get("received_time", happened))}
    record["consent"] = {**consent, "changed_at": moment(consent["changed_at"])}
    record["items"] = [_item(item, mark if of_items else "") for item in line.get("items", [])]
    verdict = read_event(record | {name: mark + record[name] for name in IDS if record.get(name)})
    assert verdict.event is not None, f"{mark} line {n}: {verdict.violations}"
    return verdict.event


def _item(item: str | dict[str, Any], mark: str) -> dict[str, Any]:
    record = {"item_id": item} if isinstance(item, str) else item
    return {**record, "item_id": mark + record["item_id"]}


def _flat_update(line: dict[str, Any], mark: str) -> dict[str, Any]:
    record = {
        "title": "T",
        "currency": "GBP",
        "availability": "in_stock",
        **line,
        "item_id": mark + line["item_id"],
    }
    verdict = read_catalog({**record, "effective_time": moment(line["effective_time"])})
    assert verdict.event is not None, f"{mark}: {verdict.violations}"
    return verdict.event


def moment(text: str) -> str:
    """`10:00`, `10:00:30` (of the cut's day), `08-31 10:00` (of 2011) or a whole RFC 3339 time, as the last."""
    if "T" in text:
        return text
    day, _, clock = text.rpartition(" ")
    on = f"2011-{day}" if day else CUT.on.isoformat()
    return to_rfc3339(datetime.fromisoformat(f"{on}T{clock}{':00' if len(clock) == 5 else ''}+00:00"))


def micros(text: str) -> int:
    """A time of a case as epoch µs."""
    return to_micros(datetime.fromisoformat(moment(text)))
