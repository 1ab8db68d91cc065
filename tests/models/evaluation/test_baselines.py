"""EASE, iALS and session kNN beside the formulas of their papers."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from models.baselines.ease import ease, score_ease
from models.baselines.ials import ials, score_ials
from models.baselines.session_knn import score_sessions, session_index
from models.baselines.tutorial import fit_tutorial
from models.evaluation.cases import Interactions, NextItem, Ragged

TRAIN = Interactions.of(Ragged.of([[0, 1], [0, 1, 2], [1, 2], [3, 0]]))


def test_the_tutorial_s_training_ends_with_the_epoch_in_which_its_time_is_over():
    lengths = [
        len(fit_tutorial(TRAIN, 4, learning_rate=0.1, size=4, epochs=3, most_seconds=most).epoch_ends)
        for most in (0.0, inf)
    ]
    assert lengths == [1, 3]


def asked(*histories: list[int]) -> NextItem:
    count = len(histories)
    return NextItem(
        Ragged.of(list(histories)), np.zeros(count, np.int32), np.arange(count, dtype=np.int32), False
    )


def test_ease_is_the_ridge_regression_of_each_item_on_the_others():
    weights = ease(TRAIN, 4, penalty=0.5)
    x = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]], float)
    for item in range(4):
        others = [n for n in range(4) if n != item]
        left = x[:, others].T @ x[:, others] + 0.5 * np.eye(3)
        assert weights[others, item] == pytest.approx(
            np.linalg.solve(left, x[:, others].T @ x[:, item]), abs=1e-5
        )
        assert weights[item, item] == 0
    assert score_ease(weights, TRAIN.counts(4))(asked([0]))[0, 1] == pytest.approx(weights[0, 1])


def test_ials_folds_a_shopper_in_as_it_trains_one():
    model = ials(TRAIN, 4, factors=3, regularization=0.1, alpha=5.0, iterations=15, seed=0)
    # A shopper's factor solves (Y'Y + αY_u'Y_u + λI) x = (1 + α) Y_u'1 over the own items.
    own = model.factors[[0, 1]].astype(float)
    left = model.factors.T.astype(float) @ model.factors + 5 * own.T @ own + 0.1 * np.eye(3)
    query = np.linalg.solve(left, 6 * own.sum(axis=0))
    scores = score_ials(model, TRAIN.counts(4))(asked([0, 1], []))
    assert scores[0] == pytest.approx(model.factors @ query, abs=1e-4)
    assert scores[1].tolist() == [3, 3, 2, 1]  # without an item: popularity


def test_session_knn_by_hand():
    # Evolving session 3, 0 (newest 0): 0 counts 2/2, 3 counts 1/2. Sessions 0 = {0, 1}: 1, 1 = {0, 1, 2}: 1,
    # 3 = {3, 0}: 1.5, all agree at the newest item: votes x (1 - .1). idf = log(4 / df): 0 and 1 in three, 2 in two, 3 in one.
    scores = score_sessions(session_index(TRAIN, 4, sample=10), TRAIN.counts(4), neighbours=10, slots=9)(
        asked([3, 0])
    )[0]
    idf = np.log(4 / np.array([3, 3, 2, 1]))
    assert scores == pytest.approx(0.9 * idf * [3.5, 2.0, 1.0, 1.5], abs=1e-5)


def test_session_knn_looks_at_the_newest_sessions_and_the_nearest():
    index = session_index(TRAIN, 4, sample=1)
    # Of item 1 the newest session is 2 = {1, 2}.
    scores = score_sessions(index, TRAIN.counts(4), neighbours=10, slots=9, idf_weight=0.0)(asked([1]))[0]
    assert scores[[1, 2]] == pytest.approx([0.9, 0.9])
    assert (scores[[0, 3]] < 0).all()  # nobody votes for them: by popularity
    assert scores[0] > scores[3]
    # With one neighbour the later of two equally near sessions votes.
    both = score_sessions(session_index(TRAIN, 4, sample=10), TRAIN.counts(4), 1, 9, 0.0)(asked([1]))[0]
    assert both[[1, 2]] == pytest.approx([0.9, 0.9])
    assert both[0] < 0


def test_session_knn_counts_a_repeated_item_once_and_may_leave_the_newest_out():
    index = session_index(TRAIN, 4, sample=10)

    def scores(*history: int, repeats: bool = True) -> np.ndarray:
        return score_sessions(index, TRAIN.counts(4), 10, 9, repeats=repeats)(asked(list(history)))[0]

    assert scores(3, 0, 3, 0) == pytest.approx(scores(3, 0))
    left_out = scores(3, 0, repeats=False)
    assert left_out[0] < 0
    assert left_out[1:] == pytest.approx(scores(3, 0)[1:])


def test_a_case_without_items_gets_popularity():
    scores = score_sessions(session_index(TRAIN, 4, 10), TRAIN.counts(4), 10, 9)(asked([]))[0]
    assert np.argsort(-scores, kind="stable").tolist() == [0, 1, 2, 3]
