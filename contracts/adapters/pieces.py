"""A source read line by line: each record is a piece of a day, so that a file need not be held in memory.

`pieces` never raises on what a line holds: a record that is no event is refused with its reason and its own text.
`day_of` puts the pieces of one day's file together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from contracts.adapters.trails import Trails
from contracts.adapters.values import Unfit
from contracts.adapters.wire import NOT_UTF8, Record, Refused, WireDay, by_time, is_utf8, shown

NOT_AN_OBJECT = "not a JSON object"
REPEATED = "event_id seen before"
NAME_SHOWN = 40
# The literal's own digits: a double read as a float has lost what the price was.
DECODER = msgspec.json.Decoder(float_hook=Decimal)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one line of a source gave.

    Attributes:
        line: its number in the file; `text` is the line itself.
        events: wire events; `session_id` and `consent` may be None until `Trails` settles them.
        profiles: wire profiles (`contracts.profiles`).
    """

    line: int
    text: str
    events: list[Record] = field(default_factory=list)
    catalog: list[Record] = field(default_factory=list)
    profiles: list[Record] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


class Memory(Protocol):
    """What has been seen: a set, or something smaller that forgets."""

    def __contains__(self, key: str, /) -> bool: ...

    def add(self, key: str, /) -> None: ...


AdaptRecord = Callable[[Row, int, str], Piece]


def json_pieces(lines: Iterable[str], adapt: AdaptRecord) -> Iterator[Piece]:
    """The piece of each JSON line, blank lines left out; `adapt` may raise `Unfit`."""
    for number, raw in enumerate(lines, start=1):
        line = raw.strip("\ufeff \t\r\n")
        if not line:
            continue
        if not is_utf8(line):
            yield refusal(number, NOT_UTF8, shown(line))
            continue
        try:
            yield adapt(decoded(line), number, line)
        except Unfit as unfit:
            yield refusal(number, str(unfit), line)


def decoded(line: str) -> Row:
    """The JSON object of a line; numbers with a point are Decimals.

    Raises:
        Unfit: it is none.
    """
    try:
        row = DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeError, InvalidOperation, RecursionError, ValueError):
        raise Unfit(NOT_AN_OBJECT) from None
    if not isinstance(row, dict):
        raise Unfit(NOT_AN_OBJECT)
    return row


def refusal(line: int, reason: str, original: str) -> Piece:
    """A line that gave nothing."""
    return Piece(line, original, refused=[Refused(line, reason, original)])


def not_read(what: str, name: object) -> str:
    """The reason of an event whose name the contract does not have; a long or odd name is cut short."""
    shown = str(name)[:NAME_SHOWN] if isinstance(name, str) else type(name).__name__
    return f"{what} not read: {shown.encode('ascii', 'replace').decode()}"


def identity_of(*parts: str) -> str:
    """32 hexadecimal digits that depend on the parts alone: the id of an event whose source gives it none."""
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def update_of(item: Record, title: str | None, effective: str) -> list[Record]:
    """The catalog update that a wire item with an id, a title and a price implies; none without them."""
    if title is None or not item.keys() >= {"item_id", "currency"} or Decimal(item.get("price", 0)) <= 0:
        return []
    return [
        {
            "item_id": item["item_id"],
            "title": title,
            "category": item.get("item_category"),
            "brand": item.get("item_brand"),
            "price": item["price"],
            "currency": item["currency"],
            "availability": "in_stock",
            "effective_time": effective,
        }
    ]


def day_of(found: Iterable[Piece], trails: Trails | None = None) -> WireDay:
    """One day: events once each in the order of time and settled; an item's first update of the day.

    Args:
        trails: what the days before have shown, which this day goes on with; None knows of no day before.
    """
    events: dict[str, Record] = {}
    updates: dict[str, Record] = {}
    refused: list[Refused] = []
    for piece in found:
        refused += piece.refused
        for event in piece.events:
            if event["event_id"] in events:
                refused.append(Refused(piece.line, REPEATED, piece.text))
            else:
                events[event["event_id"]] = event
        for update in piece.catalog:
            first = updates.setdefault(update["item_id"], update)
            if update["effective_time"] < first["effective_time"]:
                updates[update["item_id"]] = update
    trails = trails or Trails()
    settled = [trails.settle(event) for event in by_time(list(events.values()), "event_time")]
    return WireDay(settled, by_time(list(updates.values()), "effective_time"), refused)
