"""What could be trained or served from an export: each use with what it needs, how much of it, and whether it is there.

The numbers are rules of thumb, low enough that a small shop passes and high enough that what comes out is worth
measuring; a model still has to win on the validation days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infra.audit.tally import Tally

MIN_INTERACTIONS = 5


@dataclass(frozen=True, slots=True)
class Need:
    """One thing a use needs: at least `minimum` of `count`.

    Attributes:
        is_share: it is a share of 1, not a number.
        is_consent: it counts who consents, which some sources do not know.
    """

    what: str
    minimum: float
    count: Callable[[Tally], float]
    is_share: bool = False
    is_consent: bool = False


@dataclass(frozen=True, slots=True)
class Use:
    """Something that can be made of the data."""

    name: str
    gives: str
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A need as found."""

    need: Need
    found: float

    @property
    def is_met(self) -> bool:
        return self.found >= self.need.minimum


@dataclass(frozen=True, slots=True)
class Judged:
    """A use as found: possible when every need is met."""

    use: Use
    findings: tuple[Finding, ...]

    @property
    def is_possible(self) -> bool:
        return all(finding.is_met for finding in self.findings)


def judge(tally: Tally) -> list[Judged]:
    """Every use, with what was found of its needs."""
    return [Judged(use, tuple(Finding(need, need.count(tally)) for need in use.needs)) for use in USES]


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _often(tally: Tally) -> int:
    return sum(count >= MIN_INTERACTIONS for count in tally.items.values())


def _named(name: str) -> Callable[[Tally], float]:
    return lambda tally: tally.names[name]


LABELS = Need(
    "added items of shoppers who grant personalization", 10_000, lambda t: t.labels, is_consent=True
)
DAYS = Need("days, so that a validation week has two before it", 21, lambda t: t.span_days)
OFTEN = Need(f"items with at least {MIN_INTERACTIONS} interactions", 100, _often)
DESCRIBED = Need(
    "of these items have a title and a price", 0.5,
    lambda t: _share(len(t.described & t.items.keys()), len(t.items)), is_share=True,
)  # fmt: skip
GRANTED = Need("events with personalization granted", 1_000, lambda t: t.usable, is_consent=True)
USES = (
    Use("session features", "a click changes the next answer", (
        Need("sessions with at least 2 events", 1_000, lambda t: sum(n > 1 for n in t.sessions.values())),
        GRANTED,
    )),
    Use("popularity", "a list for everyone, also without consent", (
        Need("items touched", 50, lambda t: len(t.items)),
        Need("items viewed, added or bought", 1_000, lambda t: t.touches),
        DESCRIBED,
    )),
    Use("two-tower, item-kNN", "lists for a shopper", (LABELS, OFTEN, DESCRIBED, DAYS)),
    Use("user features", "habits over 7, 30 and 90 days, e-mail lists", (
        Need("users (user_id)", 500, lambda t: len(t.actors)),
        Need("users seen on days at least a week apart", 100, lambda t: sum(
            (last - first).days >= 7 for first, last in t.actors.values())),
        Need("days of history", 30, lambda t: t.span_days),
        GRANTED,
    )),
    Use("ranking", "the order within a list, from what was shown and not taken", (
        Need("items shown in lists (view_item_list)", 10_000, lambda t: t.impressions),
        Need("items taken from lists (select_item)", 500, _named("select_item")),
        LABELS,
    )),
    Use("search features", "terms of the session, search re-ranking", (
        Need("searches", 1_000, _named("search")),
        Need("different terms", 100, lambda t: len(t.terms)),
    )),
    Use("price features", "price level, value of cart and orders", (
        Need("of touched items have a price", 0.9, lambda t: _share(t.priced_touches, t.touches), is_share=True),
    )),
    Use("category features", "dominant category, affinity", (
        Need("of touched items have a category", 0.5, lambda t: _share(t.categorized_touches, t.touches),
             is_share=True),
    )),
    Use("return features", "return rate of user and item", (Need("refunds", 100, _named("refund")),)),
    Use("e-mail lists", "a daily list for who may be mailed", (
        Need("users who grant e-mail", 100, lambda t: len(t.reachable), is_consent=True),
    )),
    Use("profile attributes", "loyalty and questionnaire beside behaviour", (
        Need("users with attributes", 100, lambda t: len(t.profiled)),
    )),
)  # fmt: skip
