"""Live load: `sim-` shoppers over a given catalog, some hundred sessions at once, dated by a given clock.

Every session is a function of (run, seed, its number), so that other processes know who is shopping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from contracts.adapters.wire import Record
from contracts.clock import to_rfc3339
from contracts.events import SCHEMA_VERSION
from contracts.fields import money

SHORTEST, LONGEST = 15, 25
STEPS = ("view_item", "view_item", "view_item", "add_to_cart", "search", "page_view", "remove_from_cart")
NEIGHBOURHOOD = 20
TERMS = ("gift", "mug", "bag", "christmas", "lantern", "card", "heart", "vintage")


@dataclass(frozen=True, slots=True)
class LiveItem:
    """An item that live shoppers can look at."""

    item_id: str
    price_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class LiveShopper:
    """Who stands behind one live session; every second one is logged in."""

    visitor_id: str
    user_id: str | None
    session_id: str

    @property
    def key(self) -> tuple[str, str]:
        """The session view's key."""
        return self.visitor_id, self.session_id


def live_shopper(run: str, n: int) -> LiveShopper:
    """The shopper of session `n` of a run."""
    return LiveShopper(f"sim-{run}-v{n}", f"sim-{run}-u{n}" if n % 2 else None, f"sim-{run}-s{n}")


class LiveSession:
    """One session in progress: its events one by one."""

    def __init__(self, items: Sequence[LiveItem], run: str, seed: int, number: int, begun: datetime) -> None:
        self.shopper = live_shopper(run, number)
        self.number = number
        self.produced = 0
        self._items = items
        self._rng = Random(f"{seed}/{run}/{number}")
        self._home = self._rng.randrange(len(items))
        self._names = [
            "page_view",
            "view_item",
            *self._rng.choices(STEPS, k=self._rng.randint(SHORTEST, LONGEST) - 2),
        ]
        self._consent = {
            "analytics": "granted",
            "personalization": "granted",
            "ads": "denied",
            "email": "granted",
            "push": "granted",
            "changed_at": to_rfc3339(begun),
        }

    @property
    def is_over(self) -> bool:
        return self.produced == len(self._names)

    def next_event(self, now: datetime) -> Record:
        """The next wire event, happening and received at `now`."""
        name, moment = self._names[self.produced], to_rfc3339(now)
        event: Record = {
            "event_id": f"{self.shopper.session_id}-{self.produced:03d}",
            "event_name": name,
            "schema_version": SCHEMA_VERSION,
            "event_time": moment,
            "received_time": moment,
            "visitor_id": self.shopper.visitor_id,
            "user_id": self.shopper.user_id,
            "session_id": self.shopper.session_id,
            "platform": "web",
            "consent": self._consent,
        }
        if name == "search":
            event["search_term"] = self._rng.choice(TERMS)
        elif name != "page_view":
            event["items"] = [self._item()]
        self.produced += 1
        return event

    def _item(self) -> Record:
        """Something near the session's home in the catalog: shoppers of one home look at the same things."""
        near = (self._home + self._rng.randrange(NEIGHBOURHOOD)) % len(self._items)
        item = self._items[near]
        return {
            "item_id": item.item_id,
            "price": money(item.price_minor),
            "currency": item.currency,
            "quantity": 1,
        }


class LiveShop:
    """`concurrent` sessions side by side, an event of each in turn; who is done makes room for the next."""

    def __init__(self, items: Sequence[LiveItem], run: str, seed: int = 1, concurrent: int = 300) -> None:
        self._items, self._run, self._seed = items, run, seed
        self._open: list[LiveSession | None] = [None] * concurrent
        self._turn = 0
        self._begun = 0
        self.produced: dict[tuple[str, str], int] = {}

    def next_event(self, now: datetime) -> tuple[LiveSession, Record]:
        """The next event of all, and the session it belongs to (`session.produced` counts it)."""
        session = self._open[self._turn]
        if session is None:
            session = LiveSession(self._items, self._run, self._seed, self._begun, now)
            self._begun += 1
        event = session.next_event(now)
        self._open[self._turn] = None if session.is_over else session
        self._turn = (self._turn + 1) % len(self._open)
        self.produced[session.shopper.key] = session.produced
        return session, event
