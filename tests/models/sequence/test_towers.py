"""The towers over sequences: causal, blind to padding, the same under a seed, and able to learn what follows what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.cases import NextItem, Ragged
from models.evaluation.ranking import rank
from models.keras2 import tf
from models.sequence.fit import Fit, Towers, fit_towers
from models.sequence.towers import ItemTower, QueryTower, Shape, item_slots

SMALL = Shape(dim=16, blocks=1, heads=2, slots=6, dropout=0.0, attributes=False)
WALKS = [[(start + n) % 20 for n in range(6)] for start in range(20)] * 10


@pytest.fixture(scope="module")
def towers() -> Towers:
    tf.keras.utils.set_random_seed(0)
    return Towers(ItemTower(9, None, SMALL), QueryTower(SMALL))


def queries(towers: Towers, *rows: list[int]) -> np.ndarray:
    return towers.query(item_slots(towers.items(None), tf.constant(rows))).numpy()


def test_a_query_knows_nothing_of_what_comes_later(towers: Towers):
    one, other = queries(towers, [1, 2, 3, 4, 5, 6], [1, 2, 3, 7, 8, 0])
    assert one[:3] == pytest.approx(other[:3], abs=1e-5)
    assert np.abs(one[3] - other[3]).max() > 1e-3


def test_padding_says_nothing(towers: Towers):
    [padded], [short] = queries(towers, [-1, -1, -1, 4, 5, 6]), queries(towers, [4, 5, 6])
    assert padded[-3:] == pytest.approx(short, abs=1e-5)


def test_an_attribute_moves_every_item_that_has_it():
    attributes = Ragged.of([[1], [1, 2], []])
    tower = ItemTower(3, attributes, Shape(dim=4))
    tower.ids.assign(tf.zeros((3, 4)))
    tower.parts.assign([[0] * 4, [1] * 4, [3] * 4])
    assert tower(None).numpy()[:, 0].tolist() == [1, 2, 0]


def test_padding_is_no_candidate_of_a_batch():
    # 7 and 8 items are one batch: the place before the shorter one's first is padding, -1, which no gather takes.
    told: list[float] = []
    fit = Fit(epochs=3, tokens=256, uniform=1, in_batch=64, shape=replace(SMALL, slots=8))
    walks = Ragged.of([list(range(7)), list(range(8))])
    fit_towers(walks, 20, None, fit, lambda epoch, towers, loss: told.append(loss) or True)
    assert len(told) == 3
    assert np.isfinite(told).all()


def test_what_follows_what_is_learned_and_the_same_under_a_seed():
    fit = Fit(epochs=15, tokens=256, learning_rate=0.01, uniform=19, warmup=1, shape=SMALL)
    found = [fit_towers(Ragged.of(WALKS), 20, None, fit) for _ in range(2)]
    assert found[0].items(None).numpy() == pytest.approx(found[1].items(None).numpy(), abs=1e-6)
    cases = NextItem(
        Ragged.of([[7, 8, 9], [18, 19]]), np.array([10, 0], np.int32), np.arange(2, dtype=np.int32), False
    )
    assert rank(found[0].score(), cases).ranks.tolist() == [1, 1]
