"""Generated visits that real data has few of: every event type, disorder, repetitions, lateness on both sides of each
horizon, midnight, devices shared and several, logins and logouts in mid-session, choices about consent, one bot.

A function of the seed alone; events come in the order of their arrival.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from contracts.adapters.wire import Record
from contracts.clock import from_micros, to_micros, to_rfc3339
from contracts.events import NAMES, NAMES_WITH_ITEMS, PURPOSES, SCHEMA_VERSION

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
CATEGORIES = ("Home > Mugs", "Home > Mugs > Blue", "Garden", "Größe", "～", "😀", "Toys")
BRANDS = ("Alder", "Brook", "Ember", "Ünal")
TERMS = ("mug", "tasse", "カップ", "gift", "😀", "lamp")
SITES = ("web", "app")
# Seconds from event to receipt and how often: at once, minutes, just within and just beyond session_horizon, days,
# beyond late_horizon.
DELAYS = (
    (0.2, 0.9),
    (600, 0.06),
    (24 * 3600 - 1, 0.01),
    (24 * 3600 + 1, 0.01),
    (3 * 86_400, 0.015),
    (8 * 86_400, 0.005),
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """How many visitors, over how many items; visits begin in the `hours` around the midnight that ends the first day."""

    visitors: int = 6500
    items: int = 1400
    first_day: date = date(2011, 10, 3)
    hours: int = 6
    seed: int = 4
    bot_events: int = 10_000


@dataclass(slots=True)
class _Visit:
    """One visitor's state while events are drawn."""

    rng: Random
    visitor: str
    user: str
    at: int
    logged_in: bool
    consent: Record
    events: list[Record] = field(default_factory=list)
    sent: int = 0


def arrivals(crowd: Crowd) -> list[Record]:
    """All wire events in the order of their receipt."""
    events = [event for n in range(crowd.visitors) for event in _visitor(crowd, n)]
    events += _bot(crowd)
    return sorted(events, key=lambda event: event["received_time"])


def catalog(crowd: Crowd) -> list[Record]:
    """An update of every item on the first day, and of every third one on the second."""
    days = [
        (crowd.first_day, range(crowd.items)),
        (crowd.first_day + timedelta(days=1), range(0, crowd.items, 3)),
    ]
    return [_update(crowd, n, on) for on, numbers in days for n in numbers]


def _visitor(crowd: Crowd, n: int) -> list[Record]:
    """One to three visits of a device; every fifth user has two devices, every ninth device two users."""
    rng = Random(f"{crowd.seed}/{n}")
    user = f"gu{n // 2 if n % 5 == 0 else n}"
    begun = _midnight(crowd.first_day) + DAY + int((rng.random() - 0.6) * crowd.hours * HOUR)
    visit = _Visit(rng, f"gv{n}", user, begun, rng.random() < 0.4, _granted(begun - 30 * DAY))
    for session in range(rng.randint(1, 3)):
        if n % 9 == 0 and session:
            visit.user = f"{user}b"
        visit.at += int(rng.random() * HOUR)
        _session(crowd, visit, f"gs{n}-{session}")
    return visit.events


def _session(crowd: Crowd, visit: _Visit, session: str) -> None:
    for _ in range(visit.rng.randint(4, 22)):
        visit.at += int(visit.rng.expovariate(1 / 40) * SECOND)
        name = visit.rng.choice(NAMES)
        if name == "consent_update":
            visit.consent = _changed(visit)
        if name in ("login", "logout"):
            visit.logged_in = name == "login"
        _send(visit, _event(crowd, visit, session, name))


def _send(visit: _Visit, event: Record) -> None:
    """The event, now and then a second time, later."""
    visit.events.append(event)
    if visit.rng.random() < 0.05:
        received = datetime.fromisoformat(event["received_time"]) + timedelta(
            seconds=visit.rng.randint(1, 4000)
        )
        visit.events.append({**event, "received_time": to_rfc3339(received)})


def _event(crowd: Crowd, visit: _Visit, session: str, name: str) -> Record:
    rng = visit.rng
    seconds = rng.choices([delay for delay, _ in DELAYS], [weight for _, weight in DELAYS])[0]
    delay = int(seconds * SECOND) if seconds > 86_000 else int(rng.random() * seconds * SECOND)
    visit.sent += 1
    named = visit.logged_in or name in ("login", "logout")
    event: Record = {
        "event_id": f"{session}-{visit.sent}",
        "event_name": name,
        "schema_version": SCHEMA_VERSION,
        "event_time": to_rfc3339(from_micros(visit.at)),
        "received_time": to_rfc3339(from_micros(visit.at + delay)),
        "visitor_id": visit.visitor,
        "user_id": visit.user if named else None,
        "session_id": session,
        "platform": rng.choice(SITES),
        "consent": visit.consent,
        "context": {
            "device": rng.choice(("mobile", "desktop", None)),
            "channel": rng.choice(("mail", "ads", None)),
        },
        **_details(rng, name),
    }
    if name in NAMES_WITH_ITEMS or (name not in ("login", "logout") and rng.random() < 0.1):
        event["items"] = [_item(crowd, rng) for _ in range(rng.choice((1, 1, 1, 2, 5)))]
    return event


def _details(rng: Random, name: str) -> Record:
    """What events of a kind carry beside."""
    if name == "search":
        return {"search_term": rng.choice(TERMS)}
    if name == "view_item":
        return {"engagement_ms": rng.randint(0, 90_000), "scroll_depth": rng.choice((None, 0, 40, 100))}
    if name == "preference_set":
        scope = rng.choice(("item", "category"))
        value = rng.choice(CATEGORIES) if scope == "category" else f"g{rng.randrange(40)}"
        return {
            "preference": {"action": rng.choice(("mute", "mute", "unmute")), "scope": scope, "value": value}
        }
    return {}


def _item(crowd: Crowd, rng: Random) -> Record:
    n = min(int(rng.expovariate(4 / crowd.items)), crowd.items - 1)
    item: dict[str, Any] = {"item_id": f"g{n}", "price": f"{1 + n % 70}.{n % 10}0", "currency": "GBP"}
    known = {"item_category": CATEGORIES[n % 7], "item_brand": BRANDS[n % 4], "quantity": rng.randint(1, 3)}
    return item | {name: value for name, value in known.items() if rng.random() < 0.9}


def _bot(crowd: Crowd) -> Iterator[Record]:
    """One session far beyond SESSION_MAX_EVENTS."""
    begun = _midnight(crowd.first_day) + 10 * HOUR
    visit = _Visit(Random(f"{crowd.seed}/bot"), "gbot", "gbot", begun, False, _granted(begun))
    for _ in range(crowd.bot_events):
        visit.at += SECOND
        event = _event(
            crowd, visit, "gbot", visit.rng.choice(("view_item", "add_to_cart", "search", "page_view"))
        )
        yield {**event, "received_time": event["event_time"]}


def _granted(at: int) -> Record:
    return {**dict.fromkeys(PURPOSES, "granted"), "changed_at": to_rfc3339(from_micros(at))}


def _changed(visit: _Visit) -> Record:
    """A new choice: personalization goes to and fro, the other purposes as they come."""
    asked = "denied" if visit.consent["personalization"] == "granted" else "granted"
    others = {purpose: visit.rng.choice(("granted", "granted", "denied", "unknown")) for purpose in PURPOSES}
    return {**others, "personalization": asked, "changed_at": to_rfc3339(from_micros(visit.at))}


def _update(crowd: Crowd, n: int, on: date) -> Record:
    return {
        "item_id": f"g{n}",
        "title": f"Thing {n}",
        "category": CATEGORIES[n % 7],
        "price": f"{1 + (n + on.day) % 70}.50",
        "currency": "GBP",
        "availability": "in_stock",
        "effective_time": to_rfc3339(from_micros(_midnight(on) + n * SECOND)),
    }


def _midnight(on: date) -> int:
    return to_micros(datetime.combine(on, time(), tzinfo=UTC))
