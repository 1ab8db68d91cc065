"""Consent as one comparable string."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.consent import (
    PURPOSE_ORDER,
    changed_at_of,
    checked,
    granted,
    newest,
    purposes_of,
    state_of,
    state_sql,
)

TIMES = st.integers(min_value=0, max_value=10**17 - 1)
CHOICES = st.fixed_dictionaries(
    {purpose: st.sampled_from(("granted", "unknown", "denied")) for purpose in PURPOSE_ORDER}
)


def encoded(choice: dict[str, str], at: int) -> str:
    return state_of({"consent_changed_at": at, **{f"consent_{p}": choice[p] for p in PURPOSE_ORDER}})


def test_one_by_hand() -> None:
    choice = dict.fromkeys(PURPOSE_ORDER, "granted") | {"email": "denied", "ads": "unknown"}
    # personalization 0, email 2, push 0, analytics 0, ads 1
    assert encoded(choice, 1_314_349_140_000_000) == "01314349140000000|02001"


@given(CHOICES, TIMES)
def test_what_was_encoded_is_read_back(choice: dict[str, str], at: int) -> None:
    state = encoded(choice, at)
    assert purposes_of(state) == choice
    assert changed_at_of(state) == at
    assert checked(state) == state
    assert all(granted(state, purpose) == (choice[purpose] == "granted") for purpose in PURPOSE_ORDER)


@given(CHOICES, CHOICES, TIMES, TIMES)
def test_the_newest_choice_holds(one: dict[str, str], other: dict[str, str], first: int, second: int) -> None:
    states = [encoded(one, min(first, second)), encoded(other, max(first, second))]
    held = newest(states)
    assert held is not None
    if first != second:
        assert held == states[1]
    elif "denied" in (one["personalization"], other["personalization"]):
        # Of two choices of one instant the stricter holds.
        assert not granted(held, "personalization")


def test_nothing_known_is_not_a_grant() -> None:
    assert newest([]) is None
    assert not any(granted(None, purpose) for purpose in PURPOSE_ORDER)


@pytest.mark.parametrize(
    "state",
    [
        "",
        "01314349140000000",
        "01314349140000000|",
        "1314349140000000|00000",  # 16 digits: as text it would not stand in time order
        "01314349140000000|0000",
        "01314349140000000|00003",
        "01314349140000000|00000\n",
        "\u0661" * 17 + "|00000",
    ],
)
def test_what_is_no_state_is_a_value_error(state: str) -> None:
    for read in (purposes_of, changed_at_of, checked, lambda state: granted(state, "email")):
        with pytest.raises(ValueError, match="is not an encoded consent state"):
            read(state)


def test_the_sql_names_every_purpose_in_order() -> None:
    sql = state_sql()
    places = [sql.index(f"consent_{purpose} ") for purpose in PURPOSE_ORDER]
    assert places == sorted(places)
    assert all(a < b for a, b in itertools.pairwise(places))
    assert sql.startswith("CONCAT(LPAD(CAST(consent_changed_at AS STRING), 17, '0'), '|', ")
