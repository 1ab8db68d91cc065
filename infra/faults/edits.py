"""Edits, pure: a clean day's wire records → the faulty day's, and which of them are bad."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

from contracts.adapters.wire import Record, WireDay
from contracts.clock import to_rfc3339
from infra import paths
from infra.faults.fault import Edit, Fault, FaultError

TIMES = ("event_time", "received_time", "effective_time")


@dataclass(frozen=True, slots=True)
class Sent:
    """One record on its way to the door: a wire record, or bytes as they are; `bad` when an edit made it so."""

    record: Record | None
    raw: bytes = b""
    bad: bool = False


@dataclass(slots=True)
class Planted:
    """The faulty day; `removed` counts records that were lost."""

    events: list[Sent] = field(default_factory=list)
    catalog: list[Sent] = field(default_factory=list)
    removed: int = 0
    repeated: int = 0

    @property
    def changed(self) -> bool:
        return bool(self.removed or self.repeated or any(one.bad for one in (*self.events, *self.catalog)))


def plant(day: WireDay, fault: Fault) -> Planted:
    """The day with the fault in it.

    Raises:
        FaultError: an edit cannot be done, or nothing was changed.
    """
    planted = Planted([Sent(record) for record in day.events], [Sent(record) for record in day.catalog])
    for edit in fault.edit:
        try:
            edited = _apply(getattr(planted, edit.into), edit, planted)
        except (ValueError, TypeError, ArithmeticError, KeyError) as error:
            raise FaultError(f"{fault.name}: {error!r}") from error
        setattr(planted, edit.into, edited)
    if not planted.changed:
        raise FaultError(f"{fault.name}: its edits change nothing of {fault.day}")
    return planted


def _apply(sent: Sequence[Sent], edit: Edit, planted: Planted) -> list[Sent]:
    chosen = _chosen(
        [n for n, one in enumerate(sent) if one.record is not None and _holds(one.record, edit)], edit
    )
    done: list[Sent] = []
    for n, one in enumerate(sent):
        if n not in chosen:
            done.append(one)
        elif edit.remove:
            planted.removed += 1
        else:
            done += _edited(one, edit, chosen[n], planted)
    return done + _appended(edit)


def _chosen(matched: list[int], edit: Edit) -> dict[int, int]:
    """Index → number within the edit, from 1; a share is spread evenly over what matched."""
    if edit.first is not None:
        matched = matched[: edit.first]
    elif edit.share < 1:
        # The n-th is taken where the sum of shares passes a whole number.
        matched = [m for n, m in enumerate(matched) if int((n + 1) * edit.share) > int(n * edit.share)]
    acts = edit.set or edit.drop or edit.rename or edit.multiply or edit.shift or edit.remove or edit.repeat
    return {m: n for n, m in enumerate(matched, 1)} if acts else {}


def _holds(record: Record, edit: Edit) -> bool:
    return all(_matches(paths.values(record, path), wanted) for path, wanted in edit.where.items())


def _matches(values: list[Any], wanted: Any) -> bool:
    if not isinstance(wanted, dict):
        return wanted in values
    checks = {
        "in": lambda limit: any(value in limit for value in values),
        "present": lambda limit: any(value is not None for value in values) is limit,
        "at_least": lambda limit: any(
            _number(value) >= _number(limit) for value in values if value is not None
        ),
        "at_most": lambda limit: any(
            _number(value) <= _number(limit) for value in values if value is not None
        ),
    }
    return all(checks[name](limit) for name, limit in wanted.items())


def _number(value: Any) -> Decimal:
    """Numbers and prices as they are, times as seconds."""
    if isinstance(value, str) and "T" in value:
        return Decimal(str(datetime.fromisoformat(value).timestamp()))
    return Decimal(str(value))


def _edited(one: Sent, edit: Edit, n: int, planted: Planted) -> list[Sent]:
    record = copy.deepcopy(one.record)
    assert record is not None
    for path, value in edit.set.items():
        paths.put(record, path, _numbered(value, n))
    for path in edit.drop:
        paths.drop(record, path)
    for old, new in edit.rename.items():
        found = paths.values(record, old)
        paths.drop(record, old)
        for value in found:
            paths.put(record, new, value)
    for path, factor in edit.multiply.items():
        paths.change(record, path, partial(_multiplied, factor))
    for path, seconds in edit.shift.items():
        paths.change(record, path, partial(_shifted, seconds))
    bad = one.bad or (record != one.record and not edit.harmless)
    planted.repeated += edit.repeat
    copies = [
        Sent(_copy(record, k) if edit.as_new else record, bad=bad or edit.as_new) for k in range(edit.repeat)
    ]
    return [Sent(record, bad=bad), *copies]


def _copy(record: Record, k: int) -> Record:
    return {**record, "event_id": f"{record.get('event_id')}-again-{k + 1}"}


def _multiplied(factor: float, value: Any) -> Any:
    by = Decimal(str(factor))
    if isinstance(value, str):
        return str((Decimal(value) * by).quantize(Decimal("0.01"), ROUND_HALF_UP))
    product = Decimal(str(value)) * by
    return (
        int(product) if isinstance(value, int) and product == product.to_integral_value() else float(product)
    )


def _shifted(seconds: float, value: str) -> str:
    return to_rfc3339((datetime.fromisoformat(value) + timedelta(seconds=seconds)).astimezone(UTC))


def _appended(edit: Edit) -> list[Sent]:
    bad = not edit.harmless
    records = []
    for n in range(1, edit.times + 1):
        for record in edit.append:
            numbered = _numbered(record, n)
            for path in TIMES if edit.every_seconds else ():
                paths.change(numbered, path, partial(_shifted, (n - 1) * edit.every_seconds))
            records.append(Sent(numbered, bad=bad))
    return records + [Sent(None, line.encode(), bad) for line in edit.lines]


def _numbered(value: Any, n: int) -> Any:
    """The value with `{n}` in its strings replaced."""
    if isinstance(value, str):
        return value.replace("{n}", str(n))
    if isinstance(value, dict):
        return {key: _numbered(inner, n) for key, inner in value.items()}
    return [_numbered(inner, n) for inner in value] if isinstance(value, list) else value
