"""What adapters invent: times within the minute, and consent by a stable hash."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.adapters.made_up import DENY_SHARE, MINUTE_MICROS, drawn_consent, spread

MINUTES = st.lists(st.integers(0, 3).map(lambda n: n * MINUTE_MICROS), min_size=1, max_size=800)


def test_three_lines_and_the_purchase_share_a_minute() -> None:
    # Four slots of 15 s.
    assert spread([0, 0, 0]) == ([0, 15_000_000, 30_000_000], 45_000_000)


def test_an_invoice_over_two_minutes_closes_in_the_second() -> None:
    # Two lines in minute 0, 30 s apart; one line and the purchase in minute 1, 30 s apart.
    assert spread([0, 0, MINUTE_MICROS]) == ([0, 30_000_000, 60_000_000], 90_000_000)


@given(MINUTES)
def test_times_stay_in_their_minute_in_file_order_and_the_purchase_is_last(minutes: list[int]) -> None:
    times, closing = spread(minutes)
    assert all(minute <= time < minute + MINUTE_MICROS for minute, time in zip(minutes, times, strict=True))
    for minute in set(minutes):
        own = [time for m, time in zip(minutes, times, strict=True) if m == minute]
        assert all(a < b for a, b in pairwise(own))
    assert max(times) < closing < max(minutes) + MINUTE_MICROS


def test_a_tenth_denies_all_three_together() -> None:
    drawn = [drawn_consent(f"c{n}", "2010-12-01T00:00:00.000000Z") for n in range(10_000)]
    denied = sum(consent["personalization"] == "denied" for consent in drawn)
    # Three standard deviations of a binomial: 3 x sqrt(10,000 x .1 x .9) = 90.
    assert abs(denied - DENY_SHARE * 10_000) < 90
    assert all(c["personalization"] == c["email"] == c["push"] and c["analytics"] == "granted" for c in drawn)
    assert drawn == [drawn_consent(f"c{n}", "2010-12-01T00:00:00.000000Z") for n in range(10_000)]
