"""Faults of single records, made from the contract: every field × every mutation that the door must refuse."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.adapters.wire import Record
from contracts.catalog import CATALOG_FIELDS
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, MAX_ITEMS
from contracts.fields import MAX_INTEGER, Field, Kind, money
from infra import paths

DROPPED = object()
ITEM = "items.0."


@dataclass(frozen=True, slots=True)
class BadRecord:
    """One record that must be refused, and the field that the reason must name."""

    name: str
    into: str
    record: Record
    field: str


def bad_records(event: Record, update: Record) -> Iterator[BadRecord]:
    """Every declared field of an event, its items and a catalog update, broken in each way; then rules over several.

    Args:
        event, update: valid records that the mutations start from.
    """
    for field in EVENT_FIELDS:
        yield from _of(field, "events", event, "")
    for field in ITEM_FIELDS:
        yield from _of(field, "events", event, ITEM)
    for field in CATALOG_FIELDS:
        yield from _of(field, "catalog", update, "")
    for name, changes, named in _together():
        yield BadRecord(f"door/events/{name}", "events", _with(event, changes), named)


def _of(field: Field, into: str, base: Record, prefix: str) -> Iterator[BadRecord]:
    named = f"items.{field.wire_name}" if prefix else field.wire_name
    for mutation, value in mutations(field):
        record = _with(base, {prefix + field.wire_name: value})
        yield BadRecord(f"door/{into}/{named}/{mutation}", into, record, named)


def mutations(field: Field) -> Iterator[tuple[str, Any]]:
    """Ways to break one field, by name."""
    if field.required:
        yield "missing", DROPPED
        yield "null", None
    match field.kind:
        case Kind.STRING:
            yield from (("retyped", 7), ("empty", ""), ("control character", "a\x00b"))
            yield "too long", "x" * (field.max_length + 1)
            if field.choices:
                yield "not declared", "something-else"
        case Kind.INTEGER:
            yield from (("retyped", "1"), ("fraction", 1.5), ("truth value", True))
            yield "out of range above", (MAX_INTEGER if field.maximum is None else field.maximum) + 1
            if field.minimum is not None:
                yield "out of range below", field.minimum - 1
        case Kind.MONEY:
            yield from (
                ("retyped", 2.5),
                ("three places", "2.555"),
                ("no number", "NaN"),
                ("exponent", "1e3"),
            )
            yield "local decimal comma", "2,55"
            if field.minimum is not None:
                yield "out of range below", money(field.minimum - 1)
        case Kind.TIME:
            yield from (
                ("retyped", 1314093600),
                ("no zone", "2011-08-23T10:00:00"),
                ("date alone", "2011-08-23"),
            )
            yield from (("month 13", "2011-13-23T10:00:00Z"), ("before 1970", "1969-12-31T23:59:59Z"))


def _together() -> Iterator[tuple[str, dict[str, Any], str]]:
    """What no field says alone."""
    yield "clock ahead", {"event_time": "2031-08-23T10:00:00Z"}, "event_time"
    yield "clock in 1970", {"event_time": "1970-01-01T00:00:10Z"}, "too_late"
    yield "choice in the future", {"consent.changed_at": "2031-08-23T10:00:00Z"}, "consent.changed_at"
    yield "no items", {"items": []}, "items"
    yield "items retyped", {"items": "22423"}, "items"
    yield "item retyped", {"items": ["22423"]}, "items"
    yield "too many items", {"items": [{"item_id": "1"}] * (MAX_ITEMS + 1)}, "items"
    two = [{"item_id": "1", "price": "1.00", "currency": money} for money in ("GBP", "USD")]
    yield "mixed currency", {"items": two}, "items.currency"
    yield "consent retyped", {"consent": "granted"}, "consent"
    yield "search without a term", {"event_name": "search"}, "search_term"
    yield "login without a user", {"event_name": "login", "user_id": None}, "user_id"
    yield (
        "half a preference",
        {"event_name": "preference_set", "preference": {"action": "mute"}},
        "preference",
    )


def _with(base: Record, changes: dict[str, Any]) -> Record:
    record = copy.deepcopy(base)
    for path, value in changes.items():
        if value is DROPPED:
            paths.drop(record, path)
        else:
            paths.put(record, path, value)
    return record
