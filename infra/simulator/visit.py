"""One visit as it is written: who, on which device, when; events in the order of their times."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from contracts.adapters.wire import Record
from contracts.clock import from_micros, to_rfc3339
from contracts.events import SCHEMA_VERSION
from infra.simulator.shoppers import Shoppers

SECOND = 1_000_000


@dataclass(slots=True)
class Visit:
    """Collects the events of one session.

    Attributes:
        at: the time of the next event, epoch µs.
        logged_in: whether events carry the user.
    """

    shoppers: Shoppers
    shopper: int
    session_id: str
    at: int
    rng: Random
    device: int = 0
    platform: str = "web"
    logged_in: bool = False
    events: list[Record] = field(default_factory=list)

    @property
    def user_id(self) -> str | None:
        return f"u{self.shopper}" if self.logged_in else None

    def wait(self, mean_seconds: float) -> None:
        """Let time pass: at least a second, at most six times the mean."""
        seconds = 1 + min(self.rng.expovariate(1 / mean_seconds), 6 * mean_seconds)
        self.at += int(seconds * SECOND)

    def add(self, name: str, items: list[Record] | None = None, **fields: Any) -> None:
        """Write one event at `at`; the edge receives it a moment later."""
        event: Record = {
            "event_id": f"{self.session_id}-{len(self.events):03d}",
            "event_name": name,
            "schema_version": SCHEMA_VERSION,
            "event_time": to_rfc3339(from_micros(self.at)),
            "received_time": to_rfc3339(from_micros(self.at + self.rng.randrange(20_000, 400_000))),
            "visitor_id": f"d{self.shopper}-{self.device}",
            "user_id": self.user_id,
            "session_id": self.session_id,
            "platform": self.platform,
            "consent": self.shoppers.consent(self.shopper, self.at),
            "context": {"device": ("desktop", "mobile")[self.device], "country": "United Kingdom"},
            **fields,
        }
        if items:
            event["items"] = items
        self.events.append(event)
