"""OTTO's sessions: a line is one device's clicks, carts and orders over up to four weeks.

What OTTO calls a session is a device; a pause of 30 minutes begins a new session of it. Items ordered at the same
millisecond are one purchase. There is no price, and none is invented.

Source: OTTO (CC BY 4.0), https://github.com/otto-de/recsys-dataset
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from contracts.adapters.made_up import drawn_consent
from contracts.adapters.pieces import Piece, Row, day_of, json_pieces, not_read
from contracts.adapters.trails import PAUSE
from contracts.adapters.values import Unfit, moment_of_micros, objects, text, whole
from contracts.adapters.wire import Record, Refused, WireDay
from contracts.clock import MICROSECOND
from contracts.events import SCHEMA_VERSION

NAMES = {"clicks": "view_item", "carts": "add_to_cart", "orders": "purchase"}
ORDER = tuple(NAMES.values())
CONSENT_CHANGED_AT = "2022-07-31T00:00:00.000000Z"
PAUSE_MS = PAUSE // MICROSECOND // 1000


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of all lines, whatever their days."""
    return day_of(pieces(lines))


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The piece of each device."""
    return json_pieces(lines, adapt_record)


def adapt_record(row: Row, line: int, original: str) -> Piece:
    """The events of one device; those that cannot be read are refused, the others stay.

    Raises:
        Unfit: the line is not a device's events.
    """
    device = text(row.get("session"))
    if device is None or not isinstance(row.get("events"), list):
        raise Unfit("no session with a list of events")
    read: list[tuple[int, str, str]] = []
    refused = []
    for event in objects(row["events"], "events"):
        try:
            read.append(_read(event))
        except Unfit as unfit:
            refused.append(Refused(line, str(unfit), msgspec.json.encode(event).decode()))
    events = _events(device, sorted(read, key=_place))
    return Piece(line, original, events, refused=refused)


def _read(event: Mapping[str, Any]) -> tuple[int, str, str]:
    """Time in ms, name and item.

    Raises:
        Unfit: one of them is missing or odd.
    """
    kind, item, at = event.get("type"), text(event.get("aid")), whole(event.get("ts"), "ts")
    if not isinstance(kind, str) or kind not in NAMES:
        raise Unfit(not_read("type", kind))
    if item is None:
        raise Unfit("no aid")
    if at is None:
        raise Unfit("no ts")
    moment_of_micros(at * 1000)
    return at, NAMES[kind], item


def _place(one: tuple[int, str, str]) -> tuple[int, int]:
    """Of one millisecond clicks come first and orders last, so that what is ordered together stands together."""
    return one[0], ORDER.index(one[1])


def _events(device: str, read: list[tuple[int, str, str]]) -> list[Record]:
    """One purchase of what was ordered together; a click or a cart is one item's."""
    events: list[Record] = []
    began = newest = None
    for (at, name), group in groupby(read, key=lambda one: one[:2]):
        if newest is None or at - newest > PAUSE_MS:
            began = at
        newest = at
        items = [item for _, _, item in group]
        for together in [items] if name == "purchase" else [[item] for item in items]:
            place = {"event_id": f"{device}-{len(events):05d}", "session_id": f"{device}-{began}"}
            events.append({**place, **_event(device, at, name, together)})
    return events


def _event(device: str, at: int, name: str, items: list[str]) -> Record:
    moment = moment_of_micros(at * 1000)
    return {
        "event_name": name,
        "schema_version": SCHEMA_VERSION,
        "event_time": moment,
        "received_time": moment,
        "visitor_id": f"v-{device}",
        "user_id": None,
        "platform": "web",
        "consent": drawn_consent(device, CONSENT_CHANGED_AT),
        "items": [{"item_id": item, "quantity": 1} for item in items],
    }
