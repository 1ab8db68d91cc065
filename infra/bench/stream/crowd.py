"""The events of the stream bench: as many live sessions as asked for, each event with every field of the contract.

An event of each kind passes the door once; the rest differ from it in ids, times, items and numbers alone, so that
making them costs little beside what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from contracts.adapters.wire import Record
from contracts.clock import from_micros, to_micros, to_rfc3339
from contracts.events import PURPOSES, SCHEMA_VERSION, lead_of, read_event

KINDS = (
    "view_item", "page_view", "view_item", "search", "view_item_list", "select_item", "view_item", "add_to_cart", "view_cart",
    "remove_from_cart", "view_item", "add_to_wishlist", "begin_checkout", "purchase",
)  # fmt: skip
"""What a session does, over and over; seven of fourteen touch an item."""
LISTED = 5
CATALOG = 20_000
SPACING_MICROS = 500
"""Between two events: the 150,000 of a batch pass the end of a minute, which is when windows of ten minutes are written."""
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Crowd:
    """Sessions that all live at once; session 0 has `long_events` events, the others share the rest evenly.

    Attributes:
        tag: begins every id, so that crowds do not meet.
        start: when the first event happens.
        spacing_micros: between two events.
    """

    tag: str
    sessions: int
    events: int
    start: datetime
    long_events: int = 0
    seed: int = 1
    spacing_micros: int = SPACING_MICROS

    def session(self, number: int) -> tuple[str, str]:
        """(visitor_id, session_id)."""
        return f"{self.tag}-v{number}", f"{self.tag}-s{number}"

    def user(self, number: int) -> str | None:
        """Every second shopper is logged in."""
        return f"{self.tag}-u{number}" if number % 2 else None

    def order(self) -> list[int]:
        """The session of each event: everybody once before anybody twice, in an order of chance; the long one throughout."""
        chance = Random(f"{self.tag}/{self.seed}")
        others = self.events - self.long_events
        turns: list[int] = []
        while len(turns) < others:
            turns += chance.sample(range(1, self.sessions), min(self.sessions - 1, others - len(turns)))
        return _spread(turns, self.long_events)

    @property
    def end(self) -> datetime:
        """When the last event has happened."""
        return self.start + timedelta(microseconds=self.events * self.spacing_micros)

    def produced(self) -> dict[tuple[str, str], int]:
        """How many events each session has."""
        counts: dict[int, int] = {}
        for number in self.order():
            counts[number] = counts.get(number, 0) + 1
        return {self.session(number): count for number, count in counts.items()}

    def records(self) -> Iterator[tuple[str, bytes]]:
        """(visitor_id, flat event) in the order in which they happen."""
        chance, begun = Random(self.seed), to_micros(self.start)
        templates = {kind: _template(kind, self.start) for kind in KINDS}
        seen = [0] * self.sessions
        for n, number in enumerate(self.order()):
            flat = templates[KINDS[(seen[number] + number) % len(KINDS)]]
            visitor, session = self.session(number)
            at = begun + n * self.spacing_micros
            flat["event_id"], flat["event_time"], flat["received_time"] = f"{session}-{seen[number]}", at, at
            flat["visitor_id"], flat["session_id"], flat["user_id"] = visitor, session, self.user(number)
            flat["consent_changed_at"] = begun - 3_600_000_000
            _touch(flat, chance)
            seen[number] += 1
            yield visitor, encode(flat)


def _spread(turns: list[int], zeros: int) -> list[int]:
    """`turns` with as many zeros spread evenly over it."""
    if not zeros:
        return turns
    every = len(turns) / zeros
    spread: list[int] = []
    for n in range(zeros):
        spread += [0, *turns[round(n * every) : round((n + 1) * every)]]
    return spread


def _touch(flat: dict[str, Any], chance: Random) -> None:
    """Other items, prices and times on the page."""
    for item in flat["items"]:
        number = chance.randrange(CATALOG)
        item["item_id"], item["price_minor"] = f"i{number}", 100 + number
        item["category"] = f"c{number % 40}>d{number % 400}"
    flat |= lead_of(flat["items"])
    flat["engagement_ms"], flat["scroll_depth"] = chance.randrange(60_000), chance.randrange(101)
    flat["search_term"] = f"term {chance.randrange(2_000)}"


def _template(kind: str, at: datetime) -> dict[str, Any]:
    """A flat event of this kind with every field set, as the door makes it."""
    moment = to_rfc3339(from_micros(to_micros(at)))
    item = {
        "item_id": "i1", "price": "12.50", "currency": "GBP", "quantity": 2, "index": 3, "item_list_id": "home-1",
        "item_category": "c1>d1", "item_brand": "brand",
    }  # fmt: skip
    record: Record = {
        "event_id": "e", "event_name": kind, "schema_version": SCHEMA_VERSION, "event_time": moment,
        "received_time": moment, "visitor_id": "v", "user_id": "u", "session_id": "s", "platform": "web",
        "consent": {**dict.fromkeys(PURPOSES, "granted"), "changed_at": moment, "policy_version": "2011-05"},
        "page_view_id": "page-0001", "attribution_token": "a" * 40,
        "context": {"device": "mobile", "channel": "email", "country": "United Kingdom", "locale": "en-GB",
                    "campaign": "autumn"},
        "search_term": "mug", "engagement_ms": 1200, "scroll_depth": 40,
        "preference": {"action": "mute", "scope": "item", "value": "i9"},
        "items": [dict(item) for _ in range(LISTED if kind == "view_item_list" else 1)],
    }  # fmt: skip
    verdict = read_event(record)
    assert verdict.event is not None, verdict.violations
    return verdict.event
