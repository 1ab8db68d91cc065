"""The training objective on a softmax small enough for the back of an envelope, and the exported towers."""

from __future__ import annotations

import numpy as np
import pytest

from models.catalog import ItemFeatures, price_step, title_words
from models.decide.artifacts import QueryTower
from models.evaluation.litert import cosines, overlap, queries
from models.examples import Examples
from models.export import item_tower_file, query_tower_file
from models.item_vectors import item_vectors
from models.keras2 import tf, tfrs
from models.towers import ItemTower, Shape, TwoTower, proposal, without_session
from models.towers import QueryTower as KerasQueryTower


def test_the_proposal_mixes_batch_and_uniform():
    # B = 3, U = 1, N = 4: q = (3 p + 1/4) / 4.
    q = proposal(tf.constant([0.5, 0.1]), tf.constant(3), 1, 4)
    assert q.numpy() == pytest.approx([(1.5 + 0.25) / 4, (0.3 + 0.25) / 4])


def test_log_q_takes_the_popular_candidates_advantage_away():
    # One query with equal scores 0 for its label (q = .5) and a negative (q = .1): corrected logits are
    # -ln .5 and -ln .1, so the loss is ln(1 + (1/.1) / (1/.5)) = ln 6 rather than ln 2.
    task = tfrs.tasks.Retrieval(temperature=1.0, remove_accidental_hits=True)
    query, candidates = tf.zeros((1, 2)), tf.zeros((2, 2))
    ids, q = tf.constant([7, 8]), tf.constant([0.5, 0.1])
    assert task(query, candidates, candidate_ids=ids, compute_metrics=False).numpy() == pytest.approx(
        np.log(2)
    )
    corrected = task(
        query, candidates, candidate_sampling_probability=q, candidate_ids=ids, compute_metrics=False
    )
    assert corrected.numpy() == pytest.approx(np.log(6))
    # The same item twice is no negative of itself: nothing is left to tell apart.
    hit = task(query, candidates, candidate_ids=tf.constant([7, 7]), compute_metrics=False)
    assert hit.numpy() == pytest.approx(0, abs=1e-6)


def test_of_a_hidden_session_the_users_slots_are_left_and_moved_up():
    positions = tf.constant([[7, 8, 9, 4, -1], [7, 8, 9, 4, -1]])
    kinds = tf.constant([[1, 1, 2, 2, 0], [1, 1, 2, 2, 0]])
    found, of_kind = without_session(positions, kinds, tf.constant([True, False]))
    assert found.numpy().tolist() == [[9, 4, -1, -1, -1], [7, 8, 9, 4, -1]]
    assert of_kind.numpy().tolist() == [[2, 2, 0, 0, 0], [1, 1, 2, 2, 0]]


def test_every_uniform_candidate_takes_part_in_the_loss():
    features = ItemFeatures(np.arange(4, dtype=np.int32), np.zeros((4, 10), np.int32), np.zeros(4, np.int32))
    model = TwoTower(features, 4, np.ones(4, np.float32), Shape(uniform_negatives=9))
    assert model._candidates(tf.constant([2, 3])).shape == (11,)


def test_the_exported_query_tower_equals_keras(tmp_path):
    tf.keras.utils.set_random_seed(1)
    tower = KerasQueryTower(Shape())
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(8, 50, 64)).astype(np.float32)
    kinds = np.repeat(np.array([[1] * 3 + [2] * 2 + [0] * 45], np.int32), 8, axis=0)
    vectors[:, 5:] = 0
    tower((vectors, kinds))
    tower.set_weights([chance.normal(scale=0.2, size=weight.shape) for weight in tower.get_weights()])
    (tmp_path / "q.tflite").write_bytes(query_tower_file(tower))
    served = QueryTower(tmp_path / "q.tflite")
    ours = np.array([served(vectors[n : n + 1], kinds[n : n + 1]) for n in range(8)])
    assert np.abs(ours - tower((vectors, kinds)).numpy()).max() < 1e-5
    assert np.linalg.norm(ours, axis=1) == pytest.approx(np.ones(8), abs=1e-5)


def test_the_quantized_query_tower_is_smaller_and_asks_nearly_the_same():
    tf.keras.utils.set_random_seed(1)
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(300, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    positions = chance.integers(0, 300, (20, 50)).astype(np.int32)
    kinds = np.ones((20, 50), np.int32)
    empty = np.zeros(20, np.int32)
    asked = Examples(positions, kinds, empty, positions, empty, empty, np.zeros(20, "datetime64[D]"))
    tower = KerasQueryTower(Shape())
    tower((vectors[positions], kinds))
    exact, small = query_tower_file(tower), query_tower_file(tower, quantized=True)
    assert len(small) < 0.5 * len(exact)
    expected = tower((vectors[positions], kinds)).numpy()
    assert np.abs(queries(exact, vectors, asked) - expected).max() < 1e-5
    assert cosines(queries(small, vectors, asked), expected).min() > 0.999


def test_overlap_is_the_share_of_the_first_items_that_both_have():
    a, b = np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[4.0, 1.0, 3.0, 2.0]])
    assert overlap(a, b, 2) == 0.5
    assert overlap(a, b, 500) == 1.0


def test_the_exported_item_tower_equals_keras(tmp_path):
    tf.keras.utils.set_random_seed(1)
    words = np.array([title_words(title) for title in ("red mug", "", "Red MUG, large")], np.int32)
    features = ItemFeatures(np.array([1, 2, 0], np.int32), words, np.array([1, 2, 3], np.int32))
    tower = ItemTower(2)
    expected = tower((features.ids, features.words, features.prices)).numpy()
    (tmp_path / "i.tflite").write_bytes(item_tower_file(tower))
    assert np.abs(item_vectors(tmp_path / "i.tflite", features) - expected).max() < 1e-5


def test_words_and_price_steps():
    assert title_words("Red mug")[:2] == title_words("RED MUG, red!")[:2]
    assert title_words("Red mug")[2:] == [0] * 8
    # 2 log2(price): 0, 2, 13.3, capped at 23.
    assert [price_step(price) for price in (1, 2, 100, 10**9)] == [0, 2, 13, 23]
