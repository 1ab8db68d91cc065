"""Who asks, and for what: all that a decision knows beside the snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.decide.scored import Floats


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for: items of one of the categories (paths; all below them too), of one of the brands, at such prices.

    Attributes:
        least_minor: minor units, `most_minor` likewise; both are included.
        items: these alone; None: any.
    """

    categories: Sequence[str] = ()
    brands: Sequence[str] = ()
    least_minor: int | None = None
    most_minor: int | None = None
    items: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Shopper:
    """What is known of a shopper at the moment of the decision; lists are newest first, but for `user_items`.

    Attributes:
        session_items: `session_last_items` of a fresh session row.
        carted: `session_last_carted`; these are not recommended.
        user_items: `query.met_before` of the user row.
        searches: `session_last_searches`; `earlier_searches`: `user_last_searches_90d`.
        features: stored and derived features by name, of the rows that may be used, and of the request.
        vector: the stored embedding float32[64] and `vector_model`, the model version that made it.
        consent_granted: whether personalization is granted now.
        muted_items: items and `muted_categories` (paths; all below them too) that the shopper wants to see no more.
            Kept on every rung, where consent is granted.
        session_problem: why the session row cannot be used though there should be one ("session row is
            7200 s old"); its items must then not be given. `user_problem` and `shopper_problem`: the same of the
            user row and of the shopper row.
        failure: a dependency failed and nothing could be read.
        context: items of the request itself, such as the product whose page is open: no stored row of anybody.
        search_term: what the request itself searches for; `interests`: what it was told in a questionnaire, categories and
            brands. See `said`.
        exclude: further items not to recommend; `wanted`: the only ones to.
        less_items: items of whose like the shopper wants to see less; kept likewise.
        orders: what was bought, and `lists` what was shown, newest first, as `named_in` reads it.
        cart: what lies in the cart by the request, beside `carted`.
        campaign: the one that the request says is shown.
    """

    session_items: Sequence[str] = ()
    carted: Sequence[str] = ()
    user_items: Sequence[str] = ()
    searches: Sequence[str] = ()
    earlier_searches: Sequence[str] = ()
    features: Mapping[str, Any] = field(default_factory=dict)
    vector: Floats | None = None
    vector_model: str | None = None
    muted_items: Sequence[str] = ()
    muted_categories: Sequence[str] = ()
    less_items: Sequence[str] = ()
    consent_granted: bool = False
    session_problem: str | None = None
    user_problem: str | None = None
    shopper_problem: str | None = None
    failure: str | None = None
    context: Sequence[str] = ()
    search_term: str | None = None
    interests: Sequence[str] = ()
    exclude: Sequence[str] = ()
    wanted: Wanted = Wanted()
    orders: Sequence[str] = ()
    lists: Sequence[str] = ()
    cart: Sequence[str] = ()
    campaign: str | None = None

    def said(self) -> Iterator[tuple[str, str]]:
        """What was said in words and how, as a reason, what counts most first: the request's own words stay out of reasons.

        On an item's page interests say less than the item.
        """
        searched = "close to what you searched for"
        for term in (self.search_term, *self.searches[:1]):
            if term:
                yield term, searched
        if self.interests and not self.context:
            yield " ".join(self.interests), "close to your interests"
        for term in self.earlier_searches[:1]:
            yield term, "close to what you searched for before"

    @property
    def problem(self) -> str | None:
        return self.failure or self.session_problem or self.user_problem or self.shopper_problem
