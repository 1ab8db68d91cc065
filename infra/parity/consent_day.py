"""A day on which ten thousand choices about consent are made, and what is true of each at any moment.

Every shopper comes on two days before it, then changes the mind four times on the day; some withdraw after midnight, before
and after the cut is published. A function of the seed; times are handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from contracts.adapters.wire import Record
from contracts.clock import to_micros, to_rfc3339
from contracts.events import PURPOSES, SCHEMA_VERSION

HISTORY = (date(2011, 11, 6), date(2011, 11, 7))
ON = date(2011, 11, 8)
CHANGES_EACH = 4
ITEMS = 200
CURRENCY = "GBP"
BEFORE_PUBLICATION = datetime(2011, 11, 9, 1, tzinfo=UTC)
AFTER_PUBLICATION = datetime(2011, 11, 9, 3, tzinfo=UTC)
GRANT, WITHDRAW = "granted", "denied"


@dataclass(slots=True)
class Shopper:
    """One shopper with one device; two of three are logged in.

    Attributes:
        choices: (changed_at µs, granted or denied), in the order made; each is received when it is made.
        unconsented: ids of the events sent under a denial.
    """

    number: int
    choices: list[tuple[int, str]] = field(default_factory=list)
    sent: int = 0
    unconsented: list[str] = field(default_factory=list)

    @property
    def visitor_id(self) -> str:
        return f"cv{self.number}"

    @property
    def user_id(self) -> str | None:
        return f"cu{self.number}" if self.number % 3 else None

    @property
    def shopper_id(self) -> str:
        return f"user:{self.user_id}" if self.user_id else f"visitor:{self.visitor_id}"

    @property
    def consent_keys(self) -> tuple[str, ...]:
        device = f"visitor:{self.visitor_id}"
        return (device, f"user:{self.user_id}") if self.user_id else (device,)

    def choice(self, before: int) -> str:
        """What held of what was received before a moment (epoch µs)."""
        return [choice for at, choice in self.choices if at < before][-1]

    def event(self, name: str, at: datetime, session: str, rng: Random) -> Record:
        """The next event, under the choice that holds."""
        self.sent += 1
        changed_at, choice = self.choices[-1]
        moment = to_rfc3339(at)
        event: Record = {
            "event_id": f"{self.visitor_id}-{self.sent}",
            "event_name": name,
            "schema_version": SCHEMA_VERSION,
            "event_time": moment,
            "received_time": moment,
            "visitor_id": self.visitor_id,
            "user_id": self.user_id,
            "session_id": session,
            "platform": "web",
            "consent": {**dict.fromkeys(PURPOSES, GRANT), "personalization": choice, "email": choice,
                        "changed_at": to_rfc3339(datetime.fromtimestamp(changed_at / 1e6, UTC))},
        }  # fmt: skip
        if choice != GRANT:
            self.unconsented.append(str(event["event_id"]))
        if name not in ("page_view", "consent_update"):
            event["items"] = [
                {"item_id": f"c{rng.randrange(ITEMS)}", "price": "5.00", "currency": CURRENCY, "quantity": 1}
            ]
        return event


def shoppers(count: int) -> list[Shopper]:
    """All granted before they came."""
    granted_at = to_micros(_at(HISTORY[0], 0))
    return [Shopper(n, [(granted_at, GRANT)]) for n in range(count)]


def history(crowd: list[Shopper], on: date) -> Iterator[Record]:
    """A visit of every shopper on a day before."""
    rng = Random(f"history/{on}")
    begin = _at(on, 9)
    steps = ("view_item", "add_to_cart", "add_to_cart", "purchase")
    visits = [
        shopper.event(
            name, begin + timedelta(seconds=shopper.number + 3600 * n), f"h{on:%d}-{shopper.number}", rng
        )
        for shopper in crowd
        for n, name in enumerate(steps)
    ]
    return iter(sorted(visits, key=lambda event: event["event_time"]))


def turns(crowd: list[Shopper]) -> Iterator[tuple[Shopper, str]]:
    """Who does what next on the day: a look, an addition and a choice in turn, so that choices of one are far apart."""
    for _ in range(CHANGES_EACH):
        for name in ("view_item", "add_to_cart", "consent_update"):
            for shopper in crowd:
                yield shopper, name


def change(shopper: Shopper, at: datetime) -> None:
    """The other choice."""
    asked = WITHDRAW if shopper.choices[-1][1] == GRANT else GRANT
    shopper.choices.append((to_micros(at), asked))


def night(crowd: list[Shopper], at: datetime, which: int) -> Iterator[Record]:
    """After midnight every tenth shopper who grants withdraws."""
    rng = Random(f"night/{which}")
    for shopper in crowd[which::10]:
        if shopper.choices[-1][1] == GRANT:
            moment = at + timedelta(seconds=shopper.number)
            change(shopper, moment)
            yield shopper.event("consent_update", moment, f"n{which}-{shopper.number}", rng)


def catalog() -> list[Record]:
    """The items on sale."""
    effective = to_rfc3339(_at(HISTORY[0], 1))
    return [
        {"item_id": f"c{n}", "title": f"Thing {n}", "category": f"Kind {n % 5}", "price": "5.00", "currency": CURRENCY,
         "availability": "in_stock", "effective_time": effective}
        for n in range(ITEMS)
    ]  # fmt: skip


def _at(on: date, hour: int) -> datetime:
    return datetime.combine(on, time(hour), tzinfo=UTC)
