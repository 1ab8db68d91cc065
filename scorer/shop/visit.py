"""Who is clicking: four cookies, and the events that a click is on the wire."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self
from urllib.parse import quote, unquote

from fastapi import Request, Response

from contracts.clock import Clock, to_rfc3339
from contracts.events import PURPOSES
from contracts.fields import money
from models.decide.shelf import Served
from scorer.wire import RecommendRequest

COOKIE = "braid_{name}"
MOST_CARTED = 20
CONSENTS = ("granted", "denied")


@dataclass(frozen=True, slots=True)
class Visit:
    """A device, its visit, what it chose about personalization and when (RFC 3339), and what lies in its cart."""

    visitor_id: str
    session_id: str
    consent: str = "denied"
    consent_at: str = ""
    cart: tuple[str, ...] = ()

    @classmethod
    def of(cls, request: Request, clock: Clock) -> Self:
        """As the cookies say; a new one where they say nothing that can be used."""

        def said(name: str) -> str:
            return unquote(request.cookies.get(COOKIE.format(name=name), ""))

        consent, _, at = said("consent").partition(" ")
        known = consent in CONSENTS and _was(at, clock)
        return cls(
            _id(said("visitor")) or f"shop-{uuid.uuid4().hex[:12]}",
            _id(said("session")) or uuid.uuid4().hex[:12],
            consent if known else "denied",
            at if known else to_rfc3339(clock.now()),
            tuple(item for item in said("cart").split("\n") if _id(item))[:MOST_CARTED],
        )

    def keep(self, response: Response, told: Mapping[str, str]) -> None:
        """Say to the browser what its cookies do not: an answer that repeats them would undo a click made while it was on its way."""
        for name, value in {
            "visitor": self.visitor_id,
            "session": self.session_id,
            "consent": f"{self.consent} {self.consent_at}",
            "cart": "\n".join(self.cart),
        }.items():
            cookie = COOKIE.format(name=name)
            if told.get(cookie, "") != quote(value):
                response.set_cookie(cookie, quote(value), httponly=True, samesite="strict")

    def choosing(self, consent: str, clock: Clock) -> Visit:
        """After a choice about personalization."""
        return replace(self, consent=consent, consent_at=to_rfc3339(clock.now()))

    def carrying(self, cart: Sequence[str]) -> Visit:
        """With another cart."""
        return replace(self, cart=tuple(dict.fromkeys(cart))[:MOST_CARTED])

    def asks(self, **more: Any) -> RecommendRequest:
        """A request of this visit."""
        return RecommendRequest(
            visitor_id=self.visitor_id, session_id=self.session_id, cart_items=list(self.cart), **more
        )

    def event(
        self, name: str, clock: Clock, served: Served, items: Sequence[str] = (), **more: Any
    ) -> dict[str, Any]:
        """What happened, as the shop's web page would send it."""
        now = to_rfc3339(clock.now())
        purposes = dict.fromkeys(PURPOSES, self.consent)
        return {
            "event_id": uuid.uuid4().hex,
            "event_name": name,
            "schema_version": "1",
            "event_time": now,
            "received_time": now,
            "visitor_id": self.visitor_id,
            "session_id": self.session_id,
            "platform": "web",
            "consent": {**purposes, "changed_at": self.consent_at},
            # A list may be of the snapshot that came to serve a moment ago.
            "items": [
                _item(served, at) for item in items if (at := served.snapshot.index.get(item)) is not None
            ],
            **more,
        }


def _id(said: str) -> str:
    """An id that a row may be named by; empty where a cookie says something else."""
    return said if len(said) <= 64 and said.isprintable() else ""


def _was(said: str, clock: Clock) -> bool:
    """Whether it is a time that has been: a choice of a clock that ran ahead would be refused with every event."""
    try:
        return datetime.fromisoformat(said) <= clock.now()
    except (ValueError, TypeError):
        return False


def _item(served: Served, row: int) -> dict[str, Any]:
    snapshot, offer = served.snapshot, served.shelf.offer(row)
    return {
        "item_id": snapshot.ids[row],
        "price": money(offer.price_minor),
        "currency": offer.currency,
        "quantity": 1,
        "item_category": snapshot.categories[row],
        "item_brand": snapshot.brands[row],
    }
