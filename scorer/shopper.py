"""What may be known of a shopper: consent first, then each row against its age. Pure.

Without `personalization` no row of the shopper is used, shown or recorded; what the request itself says, the
product whose page is open, may be used. A row that was made before the newest withdrawal is not used either: a grant
after it starts empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import cast

import numpy as np

from contracts.consent import checked, granted, newest
from contracts.decisions import Row
from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, View
from contracts.online import StoredRow
from models.decide.query import met_before
from models.decide.shopper import Shopper, Wanted
from scorer.store import RowKey
from scorer.wire import FeatureStates, RankRequest, RecommendRequest, RowState

PURPOSE = "personalization"
MICROS_PER_SECOND = 1_000_000
NOT_ASKED = RowState()
NOTHING_READ = FeatureStates(session=NOT_ASKED, shopper=NOT_ASKED, user=NOT_ASKED)
UNREADABLE_CONSENT = "the consent row is unreadable"

Read = tuple[RowKey, StoredRow | None]


@dataclass(frozen=True, slots=True)
class Known:
    """A shopper for `models.decide`, and what answer and decision record say of the rows."""

    shopper: Shopper
    states: FeatureStates = NOTHING_READ
    rows: tuple[Row, ...] = ()


def keys_of(request: RecommendRequest) -> list[RowKey]:
    """The rows that a request needs: consent of device and user first, then all else."""
    device = shopper = {"shopper_id": f"visitor:{request.visitor_id}"}
    keys = [RowKey(CONSENT, device)]
    if request.user_id is not None:
        shopper, user = {"shopper_id": f"user:{request.user_id}"}, {"user_id": request.user_id}
        keys += [RowKey(CONSENT, shopper), RowKey(USER, user), RowKey(USER_EMBEDDING, user)]
    if request.session_id is not None:
        session = {"visitor_id": request.visitor_id, "session_id": request.session_id}
        keys.append(RowKey(SESSION, session))
    return [*keys, RowKey(SHOPPER, shopper)]


def failed(cause: str, request: RecommendRequest) -> Known:
    """Nothing could be read."""
    return Known(replace(_anybody(request), failure=cause))


def known(reads: Sequence[Read], now_micros: int, request: RecommendRequest) -> Known:
    """What the rows that were read say of the shopper at `now_micros`."""
    consents = [row for key, row in reads if key.view is CONSENT]
    if any(row is None for row in consents):
        return failed(UNREADABLE_CONSENT, request)
    try:
        allowed = _granted(consents, now_micros)
    except ValueError:
        return failed(UNREADABLE_CONSENT, request)
    if not allowed:
        return Known(_anybody(request))
    withdrawn_at = _withdrawn_at(consents)
    session, shopper, user, embedding = (
        _Judged.of(view, reads, now_micros).made_after(withdrawn_at)
        for view in (SESSION, SHOPPER, USER, USER_EMBEDDING)
    )
    vector = embedding.features.get("user_vector")
    facts = replace(
        _anybody(request),
        session_items=session.items("session_last_items"),
        carted=session.items("session_last_carted"),
        user_items=met_before(user.items("user_last_items"), user.items("user_top_items_90d")),
        searches=session.items("session_last_searches"),
        earlier_searches=user.items("user_last_searches_90d"),
        vector=None if vector is None else np.asarray(vector, np.float32),
        vector_model=cast("str | None", embedding.features.get("user_vector_model")),
        orders=[*shopper.items("shopper_last_orders"), *user.items("user_last_orders_90d")],
        lists=shopper.items("shopper_last_lists"),
        muted_items=shopper.items("shopper_muted_items"),
        muted_categories=shopper.items("shopper_muted_categories"),
        less_items=shopper.items("shopper_less_items"),
        consent_granted=True,
        session_problem=session.problem,
        user_problem=user.problem,
        shopper_problem=shopper.problem,
    )
    used = (judged.record() for judged in (session, shopper, user, embedding))
    states = FeatureStates(session=session.state(), shopper=shopper.state(), user=user.state())
    return Known(facts, states, tuple(row for row in used if row is not None))


def _anybody(request: RecommendRequest) -> Shopper:
    """What a request says of itself, whoever asks."""
    shown = [] if request.item_id is None else [request.item_id]
    return Shopper(
        context=shown,
        search_term=request.search_term,
        interests=request.interests,
        exclude=[*request.exclude_items, *shown],
        wanted=_wanted(request),
        cart=request.cart_items,
        campaign=None if request.context is None else request.context.campaign,
    )


def _wanted(request: RecommendRequest) -> Wanted:
    asked = request.filter
    items = request.items if isinstance(request, RankRequest) else None
    least, most = (
        None if price is None else int(Decimal(price) * 100) for price in (asked.min_price, asked.max_price)
    )
    return Wanted(asked.categories, asked.brands, least, most, items)


def _granted(consents: Iterable[StoredRow | None], now_micros: int) -> bool:
    """Whether the newest choice grants and is not older than the consent view's budget.

    Raises:
        ValueError: a state is none that `contracts.consent` writes; as text it might win or lose wrongly.
    """
    fresh: dict[str, bool] = {}
    for row in consents:
        if row is not None and row.features["consent_state"] is not None:
            state = checked(row.features["consent_state"])
            age = _age_seconds(row, now_micros)
            fresh[state] = fresh.get(state, False) or (age is not None and age <= CONSENT.freshness_seconds)
    choice = newest(list(fresh))
    return choice is not None and granted(choice, PURPOSE) and fresh[choice]


def _withdrawn_at(consents: Iterable[StoredRow | None]) -> int:
    """The newest withdrawal known under any of the shopper's keys, epoch µs; -1 for none."""
    found = (row.features["consent_withdrawn_at"] for row in consents if row is not None and row.found)
    return max((at for at in found if isinstance(at, int)), default=-1)


def _age_seconds(row: StoredRow, now_micros: int) -> float | None:
    if row.event_time_micros is None:
        return None
    return (now_micros - row.event_time_micros) / MICROS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row, whether it was asked for, and why it cannot be used though there should be one."""

    view: View
    key: dict[str, str] | None = None
    row: StoredRow | None = None
    age_seconds: float | None = None
    problem: str | None = None

    @classmethod
    def of(cls, view: View, reads: Sequence[Read], now_micros: int) -> _Judged:
        for key, row in reads:
            if key.view is view:
                return cls._asked(key, row, now_micros)
        return cls(view)

    @classmethod
    def _asked(cls, key: RowKey, row: StoredRow | None, now_micros: int) -> _Judged:
        view = key.view
        if row is None:
            return cls(view, key.key, problem=f"{view.name} row is unreadable")
        age = _age_seconds(row, now_micros)
        stale = age is not None and age > view.freshness_seconds
        problem = (
            f"{view.name} row is {age:.0f} s old, its budget is {view.freshness_seconds} s" if stale else None
        )
        return cls(view, key.key, row, age, problem)

    def made_after(self, withdrawn_at: int) -> _Judged:
        """This row, or none when a withdrawal came after the choice (of a batch row: the cut) that it was made under."""
        if self.row is None or not self.row.found:
            return self
        made_at = (
            self.row.features["consent_changed_at"] if self.view.starts_empty else self.row.event_time_micros
        )
        return self if isinstance(made_at, int) and made_at > withdrawn_at else _Judged(self.view)

    @property
    def features(self) -> dict[str, object]:
        """Empty when the row must not be used."""
        return {} if self.row is None or self.problem else dict(self.row.features)

    def items(self, feature: str) -> list[str]:
        value = self.features.get(feature)
        return value if isinstance(value, list) else []

    def state(self) -> RowState:
        if self.row is None:
            return NOT_ASKED
        return RowState(found=self.row.found, age_seconds=self.age_seconds, version=self.row.version)

    def record(self) -> Row | None:
        """The row for the decision record; vectors stay out, their model and version name them."""
        if self.key is None or self.row is None or self.problem:
            return None
        plain = {
            name: cast("int | str | list[str] | None", value)
            for name, value in self.row.features.items()
            if name != "user_vector"
        }
        return Row(
            view=self.view.name,
            key=self.key,
            found=self.row.found,
            version=self.row.version,
            age_seconds=self.age_seconds,
            features=plain,
        )
