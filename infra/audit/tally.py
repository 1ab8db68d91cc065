"""What an audit counts, record by record. Its memory grows with shoppers, sessions and items, not with lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from contracts.clock import from_micros
from contracts.events import CONSENT_STATES, EVENT_FIELDS, ITEM_FIELDS, PURPOSES

EXAMPLES = 3
SHOWN = 160
MAX_REASONS = 500
OTHER_REASONS = "other reasons"
TOUCHES = frozenset({"view_item", "select_item", "add_to_cart", "purchase"})
Flat = Mapping[str, Any]


@dataclass(slots=True)
class Tally:
    """Counts of one audit.

    Attributes:
        lines: of the files, headers and blank lines left out.
        refused: reason → how often; `examples` holds the first lines of each.
        fields, item_fields: how many events, and items of events, have the field.
        sessions: events of each; `items` and `actors`: interactions of each item, days of each user (first, last).
        labels: added items of shoppers who granted personalization: what training learns from.
        revenue: minor units by currency; an item without a currency is counted under "?".
    """

    lines: int = 0
    events: int = 0
    items_named: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    names: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    item_fields: Counter[str] = field(default_factory=Counter)
    consent: Counter[tuple[str, str]] = field(default_factory=Counter)
    revenue: Counter[str] = field(default_factory=Counter)
    visitors: set[int] = field(default_factory=set)
    actors: dict[int, tuple[date, date]] = field(default_factory=dict)
    buyers: Counter[int] = field(default_factory=Counter)
    sessions: Counter[int] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    described: set[str] = field(default_factory=set)
    days: set[date] = field(default_factory=set)
    first: int | None = None
    last: int | None = None
    labels: int = 0
    usable: int = 0
    impressions: int = 0
    priced_touches: int = 0
    categorized_touches: int = 0
    touches: int = 0
    terms: set[str] = field(default_factory=set)
    reachable: set[int] = field(default_factory=set)
    profiles: Counter[str] = field(default_factory=Counter)
    profiled: set[int] = field(default_factory=set)

    def refuse(self, reason: str, line: int, text: str) -> None:
        """Count one record that is none of ours."""
        if reason not in self.refused and len(self.refused) >= MAX_REASONS:
            reason = OTHER_REASONS
        self.refused[reason] += 1
        kept = self.examples.setdefault(reason, [])
        if len(kept) < EXAMPLES:
            kept.append({"line": line, "text": text[:SHOWN]})

    def count_event(self, event: Flat) -> None:
        """Count one event as the door let it in."""
        self.events += 1
        self.names[event["event_name"]] += 1
        self.fields.update(one.name for one in EVENT_FIELDS if event[one.name] is not None)
        self.consent.update((purpose, event[f"consent_{purpose}"]) for purpose in PURPOSES)
        self._count_time(event)
        self._count_shopper(event)
        self._count_items(event)

    def count_update(self, update: Flat) -> None:
        """Remember an item that has a catalog state."""
        self.described.add(update["item_id"])

    def count_profile(self, profile: Flat) -> None:
        """Count one attribute of a user."""
        self.profiles[profile["attribute"]] += 1
        self.profiled.add(hash(profile["user_id"]))
        self._count_span(profile["effective_time"])

    def _count_time(self, event: Flat) -> None:
        self._count_span(event["event_time"])
        self.days.add(from_micros(event["event_time"]).date())

    def _count_span(self, at: int) -> None:
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)

    def _count_shopper(self, event: Flat) -> None:
        self.visitors.add(hash(event["visitor_id"]))
        self.sessions[hash((event["visitor_id"], event["session_id"]))] += 1
        self.usable += event["consent_personalization"] == "granted"
        if event["user_id"] is not None:
            user, on = hash(event["user_id"]), from_micros(event["event_time"]).date()
            first, last = self.actors.get(user, (on, on))
            self.actors[user] = (min(first, on), max(last, on))
            if event["consent_email"] == "granted":
                self.reachable.add(user)

    def _count_items(self, event: Flat) -> None:
        items, name = event["items"], event["event_name"]
        self.items_named += len(items)
        for item in items:
            self.item_fields.update(one.name for one in ITEM_FIELDS if item[one.name] is not None)
        if name in TOUCHES:
            self.touches += len(items)
            self.priced_touches += sum(item["price_minor"] is not None for item in items)
            self.categorized_touches += sum(item["category"] is not None for item in items)
            self.items.update(item["item_id"] for item in items)
        if name == "add_to_cart" and event["consent_personalization"] == "granted":
            self.labels += len(items)
        elif name == "view_item_list":
            self.impressions += len(items)
        elif name == "search":
            self.terms.add(event["search_term"].lower())
        elif name == "purchase":
            self.buyers[hash(event["user_id"] or event["visitor_id"])] += 1
            self._count_revenue(items)

    def _count_revenue(self, items: list[Flat]) -> None:
        for item in items:
            if item["price_minor"] is not None:
                self.revenue[item["currency"] or "?"] += item["price_minor"] * (item["quantity"] or 1)

    def consent_of(self, purpose: str) -> dict[str, int]:
        """State → events."""
        return {state: self.consent[purpose, state] for state in CONSENT_STATES}

    @property
    def dirt(self) -> int:
        return self.refused.total()

    @property
    def span_days(self) -> int:
        """Dates from the first to the last record, both included."""
        if self.first is None or self.last is None:
            return 0
        return (from_micros(self.last).date() - from_micros(self.first).date()).days + 1
