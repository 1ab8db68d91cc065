"""Fits the two-tower on the training rows; everything random follows from the seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.catalog import ItemFeatures
from models.examples import Examples
from models.keras2 import tf
from models.towers import Shape, TwoTower, slot_vectors

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Fit:
    """How training runs."""

    epochs: int = 6
    batch: int = 1024
    learning_rate: float = 0.006
    seed: int = 0
    shape: Shape = field(default_factory=Shape)


def fit_two_tower(train: Examples, items: ItemFeatures, known_items: int, fit: Fit) -> TwoTower:
    """A trained model. Rows without a filled slot teach nothing and are left out."""
    tf.keras.utils.set_random_seed(fit.seed)
    train = train.where((train.kinds != 0).any(axis=1))
    frequencies = np.bincount(train.labels, minlength=len(items.ids)).astype(np.float32)
    model = TwoTower(items, known_items, frequencies, fit.shape)
    batches = _batches(train, fit)
    steps = fit.epochs * -(-len(train) // fit.batch)
    rate = tf.keras.optimizers.schedules.CosineDecay(fit.learning_rate, steps, alpha=0.05)
    model.compile(optimizer=tf.keras.optimizers.Adam(rate))
    model.fit(batches, epochs=fit.epochs, verbose=0)
    return model


def query_of(model: TwoTower, vectors: Floats) -> Callable[[Examples], Floats]:
    """Examples → query vectors float32[n, 64] over fixed item vectors."""
    fixed = tf.constant(vectors)

    def query(examples: Examples) -> Floats:
        found: Floats = model.query_tower((slot_vectors(fixed, examples.positions), examples.kinds)).numpy()
        return found

    return query


def _batches(train: Examples, fit: Fit) -> tf.data.Dataset:
    rows = {"positions": train.positions, "kinds": train.kinds, "labels": train.labels}
    data = tf.data.Dataset.from_tensor_slices(rows)
    data = data.shuffle(len(train), seed=fit.seed, reshuffle_each_iteration=True)
    return data.batch(fit.batch).prefetch(2)
