"""What is sent: a week of the real shop, days of the simulator, generated visits, three hours of another real shop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from contracts.adapters.sources import has_source, open_source
from contracts.catalog import read_catalog
from contracts.clock import to_rfc3339
from contracts.cuts import days_between
from contracts.events import PURPOSES, SCHEMA_VERSION
from contracts.settings import TOPICS, Settings
from infra.parity.generated import Crowd, arrivals, catalog
from infra.publish import Sender, publish_day
from infra.simulator.parameters import ShopParameters

RETAIL = (date(2011, 8, 22), date(2011, 8, 28))
SIMULATED = (date(2011, 9, 5), date(2011, 9, 6))
SHOP = ShopParameters(seed=4, items=150, shoppers=2500, sessions_per_day=2500, first_day=date(2011, 9, 5))
CROWD = Crowd()
CLOSING = 64
"""Devices enough for every partition to have some."""
GENERATED_UNTIL = CROWD.first_day + timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Leg:
    """One source of events.

    Attributes:
        send: puts them into Kafka; returns how many.
        windows_on: its first and last day, where its windows can be compared: no event of a device comes out of order.
    """

    name: str
    what: str
    send: Callable[[Settings], int]
    cut: date
    windows_on: tuple[date, date] | None = None


def legs_of(settings: Settings, crowd: Crowd = CROWD) -> list[Leg]:
    """The legs that can be had, in the order of their days: the stream's time only goes on."""
    legs = [
        Leg("simulator", f"{len(days_between(*SIMULATED))} days with every event type", _simulated, GENERATED_UNTIL,
            SIMULATED),
        Leg("generated", f"{crowd.visitors:,} devices, out of order, late, repeated, one of 10,000 events",
            lambda s: _generated(s, crowd), GENERATED_UNTIL),
    ]  # fmt: skip
    if has_source("online-retail", settings.data):
        retail = Leg(
            "online-retail", "a week", lambda s: _days(s, "online-retail", RETAIL), GENERATED_UNTIL, RETAIL
        )
        legs.insert(0, retail)
    if has_source("rees46", settings.data):
        days = open_source("rees46", settings.data).days()
        legs.append(
            Leg(
                "rees46",
                "three hours",
                lambda s: _days(s, "rees46", (days[0], days[0])),
                days[0],
                (days[0], days[0]),
            )
        )
    return legs


def _days(settings: Settings, source: str, span: tuple[date, date]) -> int:
    return sum(publish_day(settings, source, on).events for on in days_between(*span))


def _simulated(settings: Settings) -> int:
    return sum(publish_day(settings, "simulator", on, shop=SHOP).events for on in days_between(*SIMULATED))


def _generated(settings: Settings, crowd: Crowd) -> int:
    sender, events = Sender(settings), arrivals(crowd)
    for update in (read_catalog(record).event for record in catalog(crowd)):
        if update is not None:
            sender.send_raw(TOPICS.catalog, update["item_id"], msgspec.json.encode(update))
    for event in events:
        sender.send(event)
    sender.flush()
    return len(events)


def close_windows(settings: Settings) -> None:
    """Let every window pass: an event long after all others, in every partition."""
    moment = to_rfc3339(datetime(2020, 1, 1, tzinfo=UTC))
    sender = Sender(settings)
    for n in range(CLOSING):
        event = {"event_id": f"closing-{n}", "event_name": "page_view", "schema_version": SCHEMA_VERSION}
        event |= {
            "event_time": moment,
            "received_time": moment,
            "visitor_id": f"closing-{n}",
            "session_id": "closing",
        }
        consent = dict.fromkeys(PURPOSES, "granted") | {"changed_at": moment}
        sender.send(event | {"platform": "web", "consent": consent})
    sender.flush()
