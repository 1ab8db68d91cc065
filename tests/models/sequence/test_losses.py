"""The sampled softmax on candidates few enough for the back of an envelope: in-batch, uniform and mixed."""

from __future__ import annotations

import numpy as np
import pytest

from models.keras2 import tf
from models.sequence.losses import sampled_softmax
from models.towers import proposal

ITEMS = 4


def loss(labels: list[int], candidates: list[int], share: list[float], in_batch: int, uniform: int) -> float:
    """Of queries that score every item 0: only the correction is left."""
    q = proposal(tf.constant(share), in_batch, uniform, ITEMS)
    found = sampled_softmax(
        tf.zeros((len(labels), 2)),
        tf.constant(labels),
        own=tf.zeros((len(labels), 2)),
        candidates=tf.constant(candidates),
        vectors=tf.zeros((len(candidates), 2)),
        expected=(in_batch + uniform) * q,
    )
    return float(found.numpy().mean())


def test_uniform_candidates_stand_for_the_items_that_were_not_drawn():
    # Two of four items: each is expected half a time, so that it counts twice: ln(1 + 2 + 2).
    assert loss([0], [1, 2], [0.5, 0.1], in_batch=0, uniform=2) == pytest.approx(np.log(5))
    # The label itself, drawn, is no negative: ln(1 + 2).
    assert loss([0], [0, 2], [0.5, 0.1], in_batch=0, uniform=2) == pytest.approx(np.log(3))
    # Nor where it is drawn twice: of three each is expected .75 times, ln(1 + 4/3).
    assert loss([0], [0, 2, 0], [0.5, 0.1, 0.5], in_batch=0, uniform=3) == pytest.approx(np.log(7 / 3))


def test_in_batch_candidates_count_by_how_seldom_they_are_labels():
    # Expected 2 x .5 = 1 and 2 x .1 = .2 times: ln(1 + 1 + 5).
    assert loss([3], [1, 2], [0.5, 0.1], in_batch=2, uniform=0) == pytest.approx(np.log(7))


def test_mixed_candidates_have_the_mixture_as_proposal():
    # One of each: 2 q = p + 1/4, so .75 and .35 times; of two labels the second is one of the candidates.
    one, other = np.log(1 + 1 / 0.75 + 1 / 0.35), np.log(1 + 1 / 0.75)
    assert loss([3, 2], [1, 2], [0.5, 0.1], in_batch=1, uniform=1) == pytest.approx((one + other) / 2)


def test_all_items_drawn_is_the_full_softmax():
    chance = np.random.default_rng(2)
    vectors = chance.normal(size=(ITEMS, 3)).astype(np.float32)
    queries = chance.normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 0], np.int32)
    found = sampled_softmax(
        tf.constant(queries),
        tf.constant(labels),
        own=tf.gather(vectors, labels),
        candidates=tf.range(ITEMS),
        vectors=tf.constant(vectors),
        expected=tf.ones(ITEMS),
    )
    full = tf.keras.losses.sparse_categorical_crossentropy(labels, queries @ vectors.T, from_logits=True)
    assert found.numpy() == pytest.approx(full.numpy(), abs=1e-6)
