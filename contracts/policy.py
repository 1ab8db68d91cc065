"""The shop's policy: what may be shown where, declared in one TOML file (`policy.toml` beside this one, or where `policy` of the settings says).

```toml
[placements.cart]
complements = true
per_category = 3

[[rules]]
name = "no knives beside toys"
kind = "block"
items = { categories = ["home > kitchen > knives"] }
placements = ["product"]
```
`schemas/policy.schema.json` is made from these structs. `models.decide` applies it, on the web and in exported lists alike.
"""

from __future__ import annotations

from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from contracts.errors import PolicyError, UnknownPlacementError

PlacementName: TypeAlias = Literal["home", "product", "cart", "checkout", "post-purchase", "search", "email"]
PLACEMENTS: tuple[PlacementName, ...] = get_args(PlacementName)

Count = Annotated[int, Meta(ge=1, le=1000)]
Days = Annotated[int, Meta(ge=1, le=365)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Names = Annotated[list[Annotated[str, Meta(min_length=1, max_length=500)]], Meta(max_length=10_000)]


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item that was shown so many `times` to a shopper within so many `days` is not shown again, as far as the newest 20 lists tell."""

    times: Count
    days: Days


class Placement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds at one place.

    `default_count` and `max_count`: how many items are shown. `seen`: the cap of what is shown again and again; `bought_days`: what was
    bought within so many days is not shown. `per_category`, `per_brand`: at most so many items of one category (its whole
    path) or brand. `diversity`: 0 by relevance alone, 1 by difference alone (MMR). `novelty`: what the most popular item loses, where
    the most relevant one counts 1. `campaign`: what items of the campaign gain that the request says is shown. `ships_within_days`: what is
    known to ship later is not shown. `complements`: what goes with the cart's items and is of none of their categories counts before all else.
    """

    default_count: Count = 10
    max_count: Count = 100
    seen: Seen | None = None
    bought_days: Days | None = None
    per_category: Count | None = None
    per_brand: Count | None = None
    diversity: Share = 0.0
    novelty: Share = 0.0
    campaign: Share = 0.0
    ships_within_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    complements: bool = False


class Items(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items a rule is about: those that are named, and those of a category (path; all below it too), brand or campaign."""

    ids: Names = []
    categories: Names = []
    brands: Names = []
    campaigns: Names = []


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that the shop wants. `pin` puts the first of its items that may be shown at `position` (1 is the first place), `boost` and
    `bury` add and take `weight` where the most relevant item counts 1 and the least 0, `block` shows none of its items.

    `placements`: where; everywhere when there is none. `since` and `until`: when, with a zone; `until` itself is outside.
    """

    name: Name
    kind: Literal["pin", "boost", "bury", "block"]
    items: Items
    placements: list[PlacementName] = []
    since: datetime | None = None
    until: datetime | None = None
    position: Count | None = None
    weight: Annotated[float, Meta(gt=0, le=10)] | None = None

    def holds(self, name: PlacementName, at: datetime) -> bool:
        """Whether it is in force at a place and a moment."""
        return (not self.placements or name in self.placements) and self._is_time(at)

    def _is_time(self, at: datetime) -> bool:
        return (self.since is None or self.since <= at) and (self.until is None or at < self.until)


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules by placement, and rules about items. A placement that is left out is as `Placement` says."""

    placements: dict[PlacementName, Placement] = {}
    rules: Annotated[list[Rule], Meta(max_length=1000)] = []

    def at(self, name: PlacementName) -> Placement:
        """What holds there."""
        return self.placements.get(name, Placement())


PLAIN = Policy()
"""The best items first, and nothing else."""


def placement_named(name: str) -> PlacementName:
    """A placement's name, of a text.

    Raises:
        UnknownPlacementError: there is no such placement.
    """
    for known in PLACEMENTS:
        if known == name:
            return known
    raise UnknownPlacementError(f"placement {name!r} is not declared; known are {', '.join(PLACEMENTS)}")


def read_policy(path: Path) -> Policy:
    """The policy of a file.

    Raises:
        PolicyError: it cannot be read, breaks the schema, or says what cannot be.
    """
    try:
        policy = msgspec.toml.decode(path.read_bytes(), type=Policy)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: {error}") from error
    wrong = [*_wrong_placements(policy), *_wrong_rules(policy)]
    if wrong:
        raise PolicyError(f"{path}: {'; '.join(wrong)}")
    return policy


def _wrong_placements(policy: Policy) -> list[str]:
    return [
        f"placements.{name}: default_count is {one.default_count}, more than max_count, {one.max_count}"
        for name, one in policy.placements.items()
        if one.default_count > one.max_count
    ]


def _wrong_rules(policy: Policy) -> list[str]:
    names = [rule.name for rule in policy.rules]
    told = [f"two rules are called {name!r}" for name in sorted({n for n in names if names.count(n) > 1})]
    pins = [rule for rule in policy.rules if rule.kind == "pin"]
    told += [
        f"rules {one.name!r} and {other.name!r} pin to one place"
        for one, other in combinations(pins, 2)
        if one.position == other.position and not _naive(one) and not _naive(other) and _meet(one, other)
    ]
    for rule in policy.rules:
        told += [f"rule {rule.name!r}: {what}" for what in _wrong_with(rule)]
    return told


def _naive(rule: Rule) -> bool:
    return any(at is not None and at.tzinfo is None for at in (rule.since, rule.until))


def _meet(one: Rule, other: Rule) -> bool:
    """Whether both hold at some place and moment."""
    places = set(one.placements or PLACEMENTS) & set(other.placements or PLACEMENTS)
    bounds = [
        first.since is None or second.until is None or first.since < second.until
        for first, second in ((one, other), (other, one))
    ]
    return bool(places) and all(bounds)


def _wrong_with(rule: Rule) -> list[str]:
    told = []
    if rule.items == Items():
        told.append("give items: ids, categories, brands or campaigns")
    if (rule.kind == "pin") != (rule.position is not None):
        told.append("a pin has a position, and no other rule has")
    if (rule.kind in ("boost", "bury")) != (rule.weight is not None):
        told.append("boost and bury have a weight, and no other rule has")
    times = [at for at in (rule.since, rule.until) if at is not None]
    if _naive(rule):
        told.append("give since and until with a zone, as 2011-09-01T00:00:00Z")
    elif len(times) == 2 and times[0] >= times[1]:
        told.append("since is not before until")
    return told
