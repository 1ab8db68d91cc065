"""The pure parts: consent over all rows, and the circuit breaker."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import to_micros
from contracts.features import CONSENT, SESSION, SHOPPER, USER
from contracts.online import StoredRow
from scorer.admission import Lane
from scorer.breaker import Breaker
from scorer.shopper import NOTHING_READ, keys_of, known
from scorer.store import RowKey
from scorer.wire import RecommendRequest
from tests.scorer.kit import NOW, consent_state, micros_ago

T = to_micros(NOW)
ASK = RecommendRequest(visitor_id="v", session_id="s", user_id="u", item_id="p", exclude_items=["q"])
STATES = st.sampled_from(["granted", "denied", "unknown"])
CHANGED = st.integers(T - 5, T)


def row(features: dict[str, object], at: int = T) -> StoredRow:
    return StoredRow(True, (at, 1), at, features)  # type: ignore[arg-type]


@given(st.lists(st.tuples(STATES, CHANGED, st.none() | CHANGED), max_size=2), CHANGED, CHANGED)
def test_nothing_is_used_or_kept_unless_the_newest_choice_grants(
    found: list[tuple[str, int, int | None]], session: int, user: int
) -> None:
    """Of each row the newest choice, and an earlier one that was a withdrawal."""
    choices = [(state, at) for state, at, _ in found]
    withdrawals = [
        at if state != "granted" else min(was, at - 1) if was else None for state, at, was in found
    ]
    reads = [
        (
            RowKey(CONSENT, {"shopper_id": str(n)}),
            row({"consent_state": consent_state(*choice), "consent_withdrawn_at": withdrawn}),
        )
        for n, (choice, withdrawn) in enumerate(zip(choices, withdrawals, strict=True))
    ]
    session_row = row({"session_last_items": ["a"], "events_seen": 1, "consent_changed_at": session})
    reads.append((RowKey(SESSION, {"visitor_id": "v", "session_id": "s"}), session_row))
    mutes = {"shopper_muted_items": ["m"], "events_seen": 1, "consent_changed_at": session}
    reads.append((RowKey(SHOPPER, {"shopper_id": "user:u"}), row(mutes)))
    reads.append((RowKey(USER, {"user_id": "u"}), row({"user_last_items": ["b"]}, user)))
    facts = known(reads, T, ASK)
    # What the request itself says holds for anybody.
    assert (facts.shopper.context, facts.shopper.exclude) == (["p"], ["q", "p"])
    newest_at = max((at for _, at in choices), default=None)
    grants = newest_at is not None and {state for state, at in choices if at == newest_at} == {"granted"}
    assert facts.shopper.consent_granted is grants
    if not grants:
        assert (facts.rows, facts.states) == ((), NOTHING_READ)
    since = max((at for at in withdrawals if at is not None), default=0)
    assert list(facts.shopper.user_items) == (["b"] if grants and user > since else [])
    assert list(facts.shopper.session_items) == (["a"] if grants and session > since else [])
    assert list(facts.shopper.muted_items) == (["m"] if grants and session > since else [])


def test_the_shopper_row_is_the_users_else_the_devices() -> None:
    def shopper_keys(**who: str) -> list[dict[str, str]]:
        return [key.key for key in keys_of(RecommendRequest(**who)) if key.view is SHOPPER]

    assert shopper_keys(visitor_id="v", user_id="u") == [{"shopper_id": "user:u"}]
    assert shopper_keys(visitor_id="v") == [{"shopper_id": "visitor:v"}]


def test_the_newest_choice_counts_even_from_an_old_row() -> None:
    """A denial does not lapse when a row is old; only a grant does."""
    old = micros_ago(days=500)
    denied = (
        RowKey(CONSENT, {"shopper_id": "user:u"}),
        row({"consent_state": consent_state("denied", T), "consent_withdrawn_at": T}, old),
    )
    given_before = (
        RowKey(CONSENT, {"shopper_id": "visitor:v"}),
        row({"consent_state": consent_state("granted", T - 1), "consent_withdrawn_at": None}),
    )
    assert not known([denied, given_before], T, ASK).shopper.consent_granted


def test_the_breaker_is_closed_again_by_a_trial_that_nobody_waits_for() -> None:
    tried: list[bool] = []

    async def trial() -> bool:
        tried.append(len(tried) == 2)
        return tried[-1]

    async def story() -> None:
        breaker = Breaker(trial, failures_allowed=2, rest_seconds=0.01)
        breaker.failed()
        breaker.succeeded()
        breaker.failed()
        assert not breaker.is_open  # one failure is none in a row
        breaker.failed()
        breaker.failed()  # of a call that was under way
        assert breaker.is_open
        async with asyncio.timeout(10):
            while breaker.is_open:
                await asyncio.sleep(0.005)
        assert tried == [False, False, True]
        breaker.failed()
        assert not breaker.is_open  # it counts anew
        breaker.failed()
        await breaker.close()
        assert tried == [False, False, True]

    asyncio.run(story())


def test_a_place_goes_to_the_first_line_before_the_others_and_is_never_lost() -> None:
    order: list[str] = []

    async def story() -> None:
        lane = Lane(1, lambda: None)

        async def visit(name: str, first: bool) -> None:
            await lane.enter(first=first)
            order.append(name)
            await asyncio.sleep(0.01)
            lane.leave()

        tasks = []
        for name, first in (("a", False), ("other", False), ("gone", True), ("first", True)):
            tasks.append(asyncio.create_task(visit(name, first)))
            await asyncio.sleep(0)
        assert (lane.under_way, lane.waiting) == (1, 3)
        tasks[2].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (lane.under_way, lane.waiting) == (0, 0)
        # One that goes away in the moment of its turn passes the place on.
        await lane.enter(first=True)
        waiting = [asyncio.create_task(visit("late", True)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # in the turn of the loop in which the place would come
        lane.leave()
        waiting[1].cancel()  # when it has come
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (lane.under_way, lane.waiting) == (0, 0)

    asyncio.run(story())
    assert order == ["a", "first", "other"]
