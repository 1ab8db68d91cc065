"""Votes of past visits by hand, and that the served votes are those that the baseline is measured by."""

from __future__ import annotations

import numpy as np
import pytest

from models.baselines.session_knn import score_sessions
from models.baselines.session_knn import session_index as evaluated_index
from models.decide.sessions import NEIGHBOURS, NEWEST, SAMPLE, moved, no_sessions, session_index, votes
from models.evaluation.cases import Interactions, NextItem, Ragged

VISITS = np.array([0, 0, 1, 1, 1, 2, 2], np.int32)
ITEMS = np.array([0, 1, 0, 1, 2, 1, 3], np.int32)


def test_votes_by_hand():
    index = session_index(VISITS, ITEMS, 5)
    # Newest 0, then 1. Visits 0 and 1 hold both: 1 + 1/2, agreeing at the newest: 1.5 * .9. Visit 2 holds 1: .5 * .8.
    found = votes(index, np.array([0, 1], np.int32)).spread(5)
    idf = np.log([3 / 2, 3 / 3, 3 / 1, 3 / 1])
    assert found[:4] == pytest.approx(np.array([2.7, 3.1, 1.35, 0.4]) * idf, abs=1e-6)
    assert found[4] == 0
    # The same item again counts once.
    assert votes(index, np.array([0, 0, 1, 1], np.int32)).spread(5) == pytest.approx(found)


def test_of_nothing_no_visit_speaks():
    index = session_index(VISITS, ITEMS, 5)
    assert not len(votes(index, np.empty(0, np.int32)))
    assert not len(votes(index, np.array([4], np.int32)))
    assert not len(votes(no_sessions(5), np.array([0], np.int32)))


def test_the_served_votes_are_the_measured_ones():
    chance = np.random.default_rng(0)
    visits, items = (
        np.repeat(np.arange(900, dtype=np.int32), 6),
        chance.integers(0, 30, 5400).astype(np.int32),
    )
    positions = np.full((20, 10), -1, np.int32)
    for row, length in enumerate(chance.integers(1, 7, 20)):
        positions[row, :length] = chance.permutation(30)[:length]
    cases = NextItem(
        Ragged.of([row[row >= 0][::-1].tolist() for row in positions]),
        np.zeros(20, np.int32),
        np.arange(20, dtype=np.int32),
        masks_history=False,
    )
    learned = evaluated_index(Interactions(visits, items, items), 30, SAMPLE)
    nothing = np.zeros(30, np.float32)
    expected = score_sessions(learned, nothing, NEIGHBOURS, NEWEST)(cases)
    index = session_index(visits, items, 30)
    found = np.array([votes(index, row[row >= 0]).spread(30) for row in positions])
    spoken = found > 0
    assert spoken.any()
    assert (spoken == (expected > 0)).all()
    assert found[spoken] == pytest.approx(expected[spoken], rel=1e-4)


def test_only_the_newest_visits_of_an_item_are_asked():
    visits = np.arange(SAMPLE + 5, dtype=np.int32)
    index = session_index(visits, np.zeros(SAMPLE + 5, np.int32), 1)
    assert index.visits.tolist() == list(range(5, SAMPLE + 5))


def test_visits_move_to_the_rows_of_another_catalog():
    index = session_index(VISITS, ITEMS, 4)
    found = moved(index, np.array([2, -1, 0, 1], np.int32), 3)
    again = session_index(np.array([0, 1, 1, 2], np.int32), np.array([2, 2, 0, 1], np.int32), 3)
    for name in ("items", "item_starts", "visits", "visit_starts", "idf"):
        assert getattr(found, name).tolist() == pytest.approx(getattr(again, name).tolist())
