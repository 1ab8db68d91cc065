"""The shop's shoppers: tastes, habits, and a consent that some of them change once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import numpy as np

from contracts.adapters.made_up import drawn_consent, unit_hash
from contracts.adapters.wire import Record
from contracts.clock import from_micros, to_micros, to_rfc3339
from infra.simulator.chance import Floats, Integers
from infra.simulator.parameters import ShopParameters
from infra.simulator.words import LEAVES, STYLES

SEGMENTS = 8
FAVOURITES = 3
GUEST_SHARE = 0.25
CHANGING_SHARE = 0.15
CHANGES_WITHIN_DAYS = 180


@dataclass(frozen=True, slots=True, eq=False)
class Shoppers:
    """All shoppers, column by column ([shoppers]).

    Attributes:
        favourites: leaf categories, best first [shoppers, FAVOURITES].
        style: the style that pulls.
        reach: cumulative chance of being the shopper of a session.
        guest: never logs in.
        by_change_day: day → the shoppers who change their consent then.
    """

    parameters: ShopParameters
    favourites: Integers
    style: Integers
    reach: Floats
    guest: list[bool]
    by_change_day: dict[date, list[int]]

    def key(self, shopper: int) -> str:
        """The user id of those who log in, the device of guests."""
        return f"d{shopper}-0" if self.guest[shopper] else f"u{shopper}"

    def consent(self, shopper: int, at: int) -> Record:
        """The wire form of the consent that holds at `at` (epoch µs)."""
        opened = to_rfc3339(_midnight(self.parameters.first_day))
        drawn = drawn_consent(self.key(shopper), opened)
        changed_at = change_moment(self.parameters, shopper)
        if changed_at is None or at < changed_at:
            return drawn
        other = "denied" if drawn["personalization"] == "granted" else "granted"
        changed = to_rfc3339(from_micros(changed_at))
        return {**drawn, "personalization": other, "email": other, "push": other, "changed_at": changed}


def change_moment(parameters: ShopParameters, shopper: int) -> int | None:
    """When a shopper changes the consent (epoch µs), between 08:00 and 20:00; None for most, who never do."""
    name = f"{parameters.seed}/{shopper}"
    if unit_hash(name, "changes") >= CHANGING_SHARE:
        return None
    day = parameters.first_day + timedelta(days=1 + int(unit_hash(name, "day") * CHANGES_WITHIN_DAYS))
    return to_micros(_midnight(day)) + int((8 + 12 * unit_hash(name, "time")) * 3600) * 1_000_000


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(), tzinfo=UTC)


@cache
def build_shoppers(parameters: ShopParameters) -> Shoppers:
    """The shoppers of a shop: a segment prefers some leaves, a shopper takes favourites and a style from it."""
    rng = np.random.default_rng([parameters.seed, 2])
    count = parameters.shoppers
    preference = rng.dirichlet(np.full(len(LEAVES), 0.3), SEGMENTS) + 1e-3
    style_of_segment = rng.permutation(SEGMENTS) % len(STYLES)
    segment = rng.integers(0, SEGMENTS, count)
    # Gumbel top-k: draws without replacement, in proportion to the segment's preference.
    noisy = np.log(preference[segment]) + rng.gumbel(size=(count, len(LEAVES)))
    own_style = rng.random(count) < 0.3
    activity = rng.lognormal(0.0, 1.0, count)
    return Shoppers(
        parameters,
        np.argsort(-noisy, axis=1)[:, :FAVOURITES],
        np.where(own_style, rng.integers(0, len(STYLES), count), style_of_segment[segment]),
        np.cumsum(activity) / activity.sum(),
        [unit_hash(f"{parameters.seed}/{n}", "guest") < GUEST_SHARE for n in range(count)],
        _change_days(parameters),
    )


def _change_days(parameters: ShopParameters) -> dict[date, list[int]]:
    days: dict[date, list[int]] = {}
    for shopper in range(parameters.shoppers):
        at = change_moment(parameters, shopper)
        if at is not None:
            days.setdefault(from_micros(at).date(), []).append(shopper)
    return days
