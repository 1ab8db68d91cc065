"""Metrics, baselines and their serving twins, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.baselines.item_knn import Knn, item_knn, score_knn
from models.baselines.popularity import popularity
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.rankings import by_neighbours
from models.decide.words import WORDS
from models.evaluation.cases import Interactions
from models.evaluation.metrics import Ranking
from models.evaluation.ranking import label_ranks, masked
from models.examples import Examples, split
from models.files import knn_files, read_knn
from tests.models.test_decide import snapshot


def examples(labels, sessions=None, days=None, items=(), carted=()) -> Examples:
    """Examples with the given labels; `items` and `carted` are those of every example."""
    count = len(labels)
    positions = np.full((count, SLOTS), -1, np.int32)
    positions[:, : len(items)] = items
    cart = np.full((count, 50), -1, np.int32)
    cart[:, : len(carted)] = carted
    return Examples(
        positions=positions,
        kinds=(positions >= 0).astype(np.int32),
        words=np.zeros((count, WORDS), np.int32),
        facts=np.zeros((count, FACTS), np.float32),
        labels=np.array(labels, np.int32),
        carted=cart,
        sessions=np.array(sessions or range(count), np.int32),
        shoppers=np.array(sessions or range(count), np.int32),
        days=np.array(days or ["2011-08-29"] * count, "datetime64[D]"),
    )


def test_metrics_by_hand():
    # Ranks 1, 3, 21: recall 2/3; NDCG (1/log2(2) + 1/log2(4) + 0) / 3 = (1 + .5) / 3; MRR (1 + 1/3) / 3.
    ranking = Ranking(np.array([1, 3, 21]), np.array([[0, 1], [0, 1], [1, 0]], np.int32))
    assert ranking.recall(20).tolist() == [1, 1, 0]
    assert ranking.ndcg(20) == pytest.approx([1, 0.5, 0])
    assert ranking.reciprocal(20) == pytest.approx([1, 1 / 3, 0])
    assert ranking.coverage(4) == 0.5


def test_novelty_and_popularity_bias_by_hand():
    # Counts 3, 1, 0, 0: with one more each the shares are 1/2, 1/4, 1/8, 1/8, so 1, 2, 3 and 3 bits; the mean count is 1.
    counts = np.array([3, 1, 0, 0], np.float32)
    ranking = Ranking(np.array([1, 1]), np.array([[0, 1], [1, 2]], np.int32))
    assert ranking.novelty(counts) == pytest.approx((1 + 2 + 2 + 3) / 4)
    assert ranking.popularity_bias(counts) == pytest.approx((3 + 1 + 1 + 0) / 4)


def test_ranks_count_ties_in_item_order():
    scores = np.array([[5, 7, 5, 5]], np.float32)
    assert [label_ranks(scores, np.array([item]))[0] for item in range(4)] == [2, 1, 3, 4]


def test_a_score_that_is_no_number_is_no_good_rank():
    scores = np.array([[np.nan, 7, 5], [4, np.nan, 5]], np.float32)
    assert label_ranks(scores, np.array([0, 2])).tolist() == [3, 2]


def test_the_cart_is_masked_but_for_a_label_that_is_added_again():
    scores = masked(np.array([[1, 2, 3]] * 2, np.float32), examples([2, 0], carted=[1, 2]))
    assert scores.tolist() == [[1, -np.inf, 3], [1, -np.inf, -np.inf]]


def test_the_split_is_by_day():
    days = ["2011-08-22", "2011-08-23", "2011-08-29"]
    train, validation = split(examples([0, 1, 2], days=days), np.datetime64("2011-08-29").item(), 7)
    assert (train.labels.tolist(), validation.labels.tolist()) == ([0], [1, 2])


def test_popularity_counts_the_last_30_days():
    days = ["2011-07-30", "2011-07-31", "2011-08-29"]
    assert popularity(examples([0, 1, 1], days=days).interactions(), 3).tolist() == [0, 2, 0]


def test_item_knn_by_hand():
    # Baskets {0, 1, 2, 3} (weight 1/2), {0} and {1} (weight 1); item 4 is in none.
    # Of item 0: own weight 1 + 1/2; with 1: .5 / sqrt(1.5 * 1.5) = 1/3; with 2 or 3: .5 / sqrt(1.5 * .5) = .577.
    sessions, taken = np.array([0, 0, 0, 0, 1, 2], np.int32), np.array([0, 1, 2, 3, 0, 1], np.int32)
    knn = item_knn(Interactions(sessions, taken, taken), 5, neighbours=4)
    assert knn.neighbours[0].tolist() == [2, 3, 1, -1]
    assert knn.scores[0] == pytest.approx([0.57735, 0.57735, 1 / 3, 0], abs=1e-5)
    assert knn.neighbours[4].tolist() == [-1] * 4


def test_the_evaluated_knn_is_the_served_one():
    at = snapshot("item_knn")
    score = score_knn(Knn(at.neighbours, at.scores), at.popularity)
    evaluated = score(examples([1], items=[0, 3]))[0]
    served = by_neighbours(at, np.array([0, 3], np.int32))(np.ones(5, bool), 5)
    assert evaluated[served.items] == pytest.approx(served.scores)
    assert np.delete(evaluated, served.items).max() < 0  # the fill follows, by popularity
    assert np.argsort(-evaluated).tolist() == [2, 1, 4, 3, 0]


def test_neighbours_move_to_the_rows_of_another_catalog(tmp_path):
    knn = Knn(
        np.array([[1, 2], [0, -1], [0, 1]], np.int32),
        np.array([[0.9, 0.8], [0.9, 0], [0.8, 0.1]], np.float32),
    )
    for name, content in knn_files(["a", "b", "c"], knn).items():
        (tmp_path / name).write_bytes(content)
    # b is gone, x is new: rows are now a=1, c=2, x=0.
    moved = read_knn(tmp_path, {"x": 0, "a": 1, "c": 2})
    assert moved.neighbours.tolist() == [[-1, -1], [2, -1], [1, -1]]
    assert moved.scores == pytest.approx(np.array([[0, 0], [0.8, 0], [0.8, 0]]))
