"""What the query tower reads beside items: by hand, and that many rows are read as one is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decide.facts import (
    FACTS,
    NAMES,
    OF_REQUEST,
    OF_SESSION,
    OF_USER,
    PLACES,
    STAGE,
    STAGES,
    facts,
    facts_of,
    without,
)

NUMBERS = st.one_of(st.none(), st.integers(-5, 10**9), st.floats(0, 1e6))
TEXTS = st.one_of(st.none(), st.text(max_size=8))
ROW = st.fixed_dictionaries(
    {
        name: st.sampled_from((None, *STAGES)) if name == STAGE else TEXTS if name in PLACES else NUMBERS
        for name in NAMES
    }
)


def test_facts_by_hand():
    found = facts_of(
        {
            "request_hour": 18,
            "session_events": 9,
            STAGE: "deciding",
            "user_return_rate": 7.5,
            "user_carts_90d": 0,
        }
    )
    assert found[:2] == pytest.approx([-1, 0], abs=1e-6)  # 18:00 is three quarters of the day
    assert found[OF_SESSION][:2] == pytest.approx([1, np.log(10) / 4])  # known, and log(1 + 9) / 4
    assert found[OF_SESSION][-4:].tolist() == [0, 0, 1, 0]
    assert found[OF_USER][0] == 1
    assert found[OF_USER].max() == 2  # a share is cut at 2


def test_of_nobody_nothing_is_known():
    assert facts_of({}).shape == (FACTS,) == (OF_USER.stop,)
    assert not facts_of({}).any()
    assert facts({}, 0).shape == (0, FACTS)


@given(st.lists(ROW, min_size=1, max_size=5))
def test_many_rows_are_read_as_one_is(rows):
    columns = {name: [row[name] for row in rows] for name in NAMES}
    many = facts(columns, len(rows))
    assert np.isfinite(many).all()
    assert many.tolist() == [facts_of(row).tolist() for row in rows]


def test_a_part_is_hidden_and_the_rest_stays():
    given_rows = np.ones((2, FACTS), np.float32)
    hidden = without(given_rows, OF_SESSION)
    assert not hidden[:, OF_SESSION].any()
    assert hidden[:, OF_REQUEST].all()
    assert hidden[:, OF_USER].all()
    assert given_rows.all()


def test_a_value_of_a_wrong_form_is_named():
    with pytest.raises(ValueError, match="many"):
        facts_of({"session_events": "many"})
