"""Whether a fault was caught: for the right reason, and with no bad record in silver."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from contracts.catalog import read_catalog
from contracts.cuts import Cut
from contracts.door import Admitted, admit, reject
from contracts.rejections import Rejection
from contracts.settings import Settings
from infra.dayfiles import day_file, write_lines
from infra.faults.edits import Planted, Sent
from infra.faults.fault import KEPT_OUT, REFUSED_DAY, REFUSED_RECORD, Expected
from infra.faults.rehearsal import Answer, Row

PLACE = re.compile(r"\[\d+\]")
TOO_LATE = "too_late"


@dataclass(slots=True)
class Passed:
    """What the door made of a planted day.

    Attributes:
        refused: of each bad record that was refused, the fields that its reasons name.
        admitted: the ids of bad records that were not (item ids of catalog updates).
    """

    refused: list[list[str]] = field(default_factory=list)
    admitted: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[bytes]] = field(
        default_factory=lambda: {"events": [], "catalog": [], "rejected": []}
    )


def through_the_door(planted: Planted, source: str, on: date) -> Passed:
    """Put the planted day through the door, as the gateway and the adapters do."""
    passed = Passed()
    for n, sent in enumerate(planted.events):
        raw = msgspec.json.encode(sent.record) if sent.record is not None else sent.raw
        decision = admit(raw, f"{source}/events", f"{on}/{n}", Cut(on).published_at)
        _sort(passed, sent, decision, "events")
    for n, sent in enumerate(planted.catalog):
        _sort(passed, sent, _update(sent, f"{source}/catalog", f"{on}/{n}", on), "catalog")
    return passed


def _update(sent: Sent, source: str, position: str, on: date) -> Admitted | Rejection:
    verdict = read_catalog(sent.record)
    if verdict.event is None:
        return reject(
            msgspec.json.encode(sent.record), verdict.violations, source, position, Cut(on).published_at
        )
    return Admitted(verdict.event["item_id"], msgspec.json.encode(verdict.event), verdict.event)


def _sort(passed: Passed, sent: Sent, decision: Admitted | Rejection, kind: str) -> None:
    if isinstance(decision, Rejection):
        passed.lines["rejected"].append(msgspec.json.encode(decision))
        if sent.bad:
            passed.refused.append([PLACE.sub("", one.field) or "record" for one in decision.violations])
        return
    passed.lines[kind].append(decision.value)
    if sent.bad:
        passed.admitted[decision.event["event_id" if kind == "events" else "item_id"]] += 1


def only_the_door(expect: Expected, passed: Passed, clean: dict[str, list[bytes]]) -> bool:
    """Whether the door refused every bad record, as expected, and all that it admitted is the clean day's."""
    parts = (Counter(passed.lines[kind]) - Counter(clean[kind]) for kind in ("events", "catalog"))
    return (
        REFUSED_RECORD in expect.outcomes and bool(passed.refused) and not passed.admitted and not any(parts)
    )


def write(settings: Settings, source: str, on: date, passed: Passed) -> None:
    """The planted day as day files."""
    for kind, lines in passed.lines.items():
        write_lines(day_file(settings.days, source, kind, on), lines)


def original_id(original: str) -> Any:
    """The event_id of a rejected row's original: base64 of the wire, or the flat text itself."""
    try:
        text = base64.b64decode(original, validate=True)
        return msgspec.json.decode(text)["event_id"]
    except (ValueError, msgspec.DecodeError, TypeError, KeyError):
        try:
            return msgspec.json.decode(original.encode())["event_id"]
        except (msgspec.DecodeError, TypeError, KeyError):
            return None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that the verdict on a fault rests on; silver by table, the clean day's and after the run."""

    passed: Passed
    answer: Answer
    rejected: Sequence[tuple[str, str]]
    before: dict[str, list[Row]]
    clean: dict[str, list[Row]]
    after: dict[str, list[Row]]


def caught(expect: Expected, seen: Seen) -> str | None:
    """The outcome, of those expected, that came about; None where none did."""
    checks = {REFUSED_RECORD: _refused_records, REFUSED_DAY: _refused_day, KEPT_OUT: _kept_out}
    return next((outcome for outcome in expect.outcomes if checks[outcome](expect, seen)), None)


def _refused_records(expect: Expected, seen: Seen) -> bool:
    """All bad records were refused, each for an expected field; the day went on without them, or stopped."""
    late = [original_id(original) for reason, original in seen.rejected if reason == TOO_LATE]
    named = all(_named(fields, expect.fields) for fields in seen.passed.refused)
    left = seen.passed.admitted - Counter(late) if TOO_LATE in expect.fields else seen.passed.admitted
    stood = seen.after == seen.before if seen.answer.code else _within(seen.after, seen.clean)
    return named and not left and bool(seen.passed.refused or late) and stood


def _named(fields: Sequence[str], expected: Sequence[str]) -> bool:
    """Whether a reason names an expected field, or a part of it: `consent.ads` is a part of `consent`."""
    return any(name == one or name.startswith(f"{one}.") for name in fields for one in expected)


def _refused_day(expect: Expected, seen: Seen) -> bool:
    """A gate stopped the day for an expected cause, and silver is as it was."""
    return (
        seen.answer.code == 3
        and bool(set(seen.answer.causes) & set(expect.causes))
        and seen.after == seen.before
    )


def _kept_out(_: Expected, seen: Seen) -> bool:
    """The day went on, and silver is what the clean day makes it."""
    return seen.answer.code == 0 and seen.after == seen.clean


def _within(found: dict[str, list[Row]], clean: dict[str, list[Row]]) -> bool:
    """Every row found is one of the clean day's."""
    return all(not Counter(rows) - Counter(clean[table]) for table, rows in found.items())
