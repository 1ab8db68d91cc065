"""What goes over HTTP, as typed structs: they decode the bodies, encode the answers and make the OpenAPI."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from contracts.decisions import NO_CONTROL, Context, Degraded, Plain, Row

MAX_EXCLUDED_ITEMS = 1000
MAX_INTERESTS = 20
MAX_WISHED = 100

Identifier = Annotated[str, Meta(min_length=1, max_length=128, pattern=NO_CONTROL)]
ItemId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_CONTROL)]
Count = Annotated[int, Meta(ge=1, le=1000)]
SearchTerm = Annotated[str, Meta(min_length=1, max_length=256, pattern=NO_CONTROL)]
Interest = Annotated[str, Meta(min_length=1, max_length=500, pattern=NO_CONTROL)]
Interests = Annotated[list[Interest], Meta(max_length=MAX_INTERESTS)]
Wished = Annotated[list[Interest], Meta(max_length=MAX_WISHED)]
Price = Annotated[str, Meta(pattern=r"^\d{1,9}(\.\d{1,2})?$")]
Excluded = Annotated[list[ItemId], Meta(max_length=MAX_EXCLUDED_ITEMS)]


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which items may be shown: of one of the categories (paths, as `home > kitchen`; all below them too), of one of the brands, at
    prices from `min_price` to `max_price` (decimals, both included). What is left out asks for nothing.
    """

    categories: Wished = []
    brands: Wished = []
    min_price: Price | None = None
    max_price: Price | None = None


class RecommendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who asks, and what must not be shown.

    `item_id` is the product whose page is open, `search_term` what was typed into the search box, `interests` what a questionnaire
    was told (categories, brands), `context` what the shop knows of the visit: said with the request, kept nowhere. `count` defaults to
    the placement's and is at most its maximum; `cart_items` lie in the cart, where the shop knows it better than the session's row; a `filter` that few items pass gives fewer.
    """

    visitor_id: Identifier
    session_id: Identifier | None = None
    user_id: Identifier | None = None
    item_id: ItemId | None = None
    search_term: SearchTerm | None = None
    interests: Interests = []
    count: Count | None = None
    exclude_items: Excluded = []
    cart_items: Excluded = []
    filter: Filter = Filter()
    context: Context | None = None


class RankRequest(RecommendRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recommend request about `items` of the shop's own, such as a category's or a search's: they come back in the shopper's order.

    At most as many as the placement shows; `count` and `filter` hold as well.
    """

    items: Annotated[list[ItemId], Meta(min_length=1, max_length=1000)]


class RecommendedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item, best first; `price` is a decimal and holds since `priced_at`, `source` says what retrieved it.

    `rules` are those of the policy that moved it.
    `ships_in_days` is the shop's promise; null where it gave none.
    """

    item_id: str
    title: str
    price: str
    currency: str
    priced_at: str
    score: float
    source: str
    reasons: list[str]
    rules: list[str]
    ships_in_days: int | None


class RowState(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a feature row was found, how old it is, and its version; without consent it is never shown."""

    found: bool = False
    age_seconds: float | None = None
    version: tuple[int, int] | None = None


class FeatureStates(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of the stream strand (session, shopper) and of the batch strand (user).

    `stage` is where the visit stands: browsing, comparing, deciding or buying; null where its session is not known.
    """

    session: RowState
    shopper: RowState
    user: RowState
    stage: str | None = None


class RecommendAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The items, what made them, and on which rung of the ladder; `took_ms` is the time inside the scorer.

    `catalog_offset` is how far this worker had read each partition of the topic `catalog`: what stands before it holds in the answer.
    """

    decision_id: str
    attribution_token: str
    placement: str
    results: list[RecommendedItem]
    model_version: str
    snapshot_version: str
    degraded: Degraded
    features: FeatureStates
    catalog_offset: list[int]
    took_ms: float


class RankAnswer(RecommendAnswer, frozen=True, kw_only=True):
    """The items that may be shown, in order; `left_out` are those that may not, are not known, or stand beyond `count` or a cap."""

    left_out: list[str]


class ExplainedItem(RecommendedItem, frozen=True, kw_only=True):
    """One item with what each source adds to its score (`parts`), what the ranker read of it (`features`, amounts and counts logarithmic;
    empty where none ranked it), and the policy's rules that moved it."""

    parts: dict[str, float]
    features: dict[str, float]


class ExplainAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What `:recommend` answers to the same request at this moment, and why; nothing is recorded of it.

    `rows` are the feature rows that were used, `derived` the features made of them and the request, and `withheld` how many items are
    kept back for each reason, an item counted by the first.
    """

    placement: str
    results: list[ExplainedItem]
    model_version: str
    snapshot_version: str
    degraded: Degraded
    features: FeatureStates
    rows: list[Row]
    derived: dict[str, Plain]
    withheld: dict[str, int]


class BrokenRule(msgspec.Struct, frozen=True, kw_only=True):
    """One broken rule of one field of an event."""

    field: str
    value: str
    rule: str


class EventStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event; `index` is its place in the request. A rejected one is kept with its reasons."""

    index: int
    status: str
    event_id: str | None
    violations: list[BrokenRule]


class EventsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One status per event, in the request's order."""

    accepted: int
    rejected: int
    results: list[EventStatus]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process is alive."""

    status: str


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What serves now."""

    status: str
    snapshot_version: str
    model_version: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457; `missing` names what a service that is not ready waits for."""

    title: str
    status: int
    detail: str
    instance: str | None = None
    missing: list[str] = []
