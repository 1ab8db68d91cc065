"""Fits the two-tower on the training rows; everything random follows from the seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from models.catalog import ItemFeatures
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.words import WORDS
from models.errors import ModelsError
from models.examples import Examples
from models.keras2 import tf
from models.towers import NEAREST, Shape, TwoTower, slot_vectors

Floats = npt.NDArray[np.float32]
IDS = "item.ids"
WARM_DAYS = 28


@dataclass(frozen=True, slots=True)
class Fit:
    """How training runs."""

    epochs: int = 8
    batch: int = 1024
    learning_rate: float = 0.006
    seed: int = 0
    shape: Shape = field(default_factory=Shape)


@dataclass(frozen=True, slots=True)
class Start:
    """What a warm start goes on from: the weights by name, and which item each row of the id embedding stands for."""

    weights: Mapping[str, Floats]
    vocabulary: Mapping[str, int]


def warm(fit: Fit) -> Fit:
    """How a warm start trains: once, a third as fast."""
    return replace(fit, epochs=1, learning_rate=fit.learning_rate / 3)


def fit_two_tower(
    train: Examples,
    items: ItemFeatures,
    vocabulary: Mapping[str, int],
    fit: Fit,
    start: Start | None = None,
) -> TwoTower:
    """A trained model; from `start`'s weights where given, on the last `WARM_DAYS` days.

    Raises:
        ModelsError: `start` is of towers of another shape.
    """
    seed(fit)
    if start:
        train = train.where(train.days > train.days.max() - np.timedelta64(WARM_DAYS, "D"))
    model = new_two_tower(train, items, len(vocabulary), fit)
    if start:
        resume(model, start, vocabulary)
    run(model, train, fit)
    return model


def seed(fit: Fit) -> None:
    """From here on the same calls give the same bytes, whatever ran before."""
    tf.keras.utils.set_random_seed(fit.seed)
    tf.config.experimental.enable_op_determinism()


def new_two_tower(train: Examples, items: ItemFeatures, known_items: int, fit: Fit) -> TwoTower:
    """Both towers with weights drawn by the seed; the proposal is that of the training rows."""
    frequencies = np.bincount(train.labels, minlength=len(items.ids)).astype(np.float32)
    model = TwoTower(items, known_items, frequencies, fit.shape)
    build(model)
    return model


def run(model: TwoTower, train: Examples, fit: Fit) -> None:
    """The epochs, with a learning rate that falls along a cosine."""
    steps = fit.epochs * -(-len(train) // fit.batch)
    rate = tf.keras.optimizers.schedules.CosineDecay(fit.learning_rate, steps, alpha=0.05)
    model.compile(optimizer=tf.keras.optimizers.Adam(rate))
    mining = [Mining()] if fit.shape.hard_negatives else []
    model.fit(batches(train, fit), epochs=fit.epochs, verbose=0, callbacks=mining)


class Mining(tf.keras.callbacks.Callback):  # type: ignore[misc]
    """Before each epoch: which items are most like each, by the vectors of that moment, and how often that draws each."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        model: TwoTower = self.model
        nearest = nearest_of(model.item_vectors().numpy(), NEAREST)
        drawn = np.zeros(len(nearest), np.float64)
        np.add.at(drawn, nearest.ravel(), np.repeat(model.share.numpy() / NEAREST, NEAREST))
        model.near.assign(nearest)
        model.near_share.assign(drawn.astype(np.float32))


def nearest_of(vectors: Floats, count: int, rows: int = 2048) -> npt.NDArray[np.int32]:
    """int32[items, count]: the other items with the greatest dot products, in no order; an item itself where there are too few."""
    found = np.empty((len(vectors), count), np.int32)
    least = min(count, len(vectors) - 1)
    for start in range(0, len(vectors), rows):
        some = np.arange(start, min(start + rows, len(vectors)))
        alike = vectors[some] @ vectors.T
        alike[some - start, some] = -np.inf
        best = np.argpartition(-alike, max(least - 1, 0), axis=1)[:, :least]
        found[some] = np.concatenate([best, np.repeat(some[:, None], count - least, axis=1)], axis=1)
    return found


def build(model: TwoTower) -> None:
    """Make the weights, which Keras does at the first call."""
    slots = slot_vectors(model.item_vectors(), np.full((1, SLOTS), -1, np.int32))
    text = model.item_tower.text(np.zeros((1, WORDS), np.int32))
    model.query_tower((slots, np.zeros((1, SLOTS), np.int32), text, np.zeros((1, FACTS), np.float32)))


def weights_of(model: TwoTower) -> dict[str, Floats]:
    """Every weight by a name that a later training finds it by."""
    item = {
        f"item.{name}": layer.get_weights()[0]
        for name, layer in (
            ("ids", model.item_tower.ids),
            ("words", model.item_tower.words),
            ("prices", model.item_tower.prices),
        )
    }
    query = {f"query.{n}": weight for n, weight in enumerate(model.query_tower.get_weights())}
    return {**item, **query}


def resume(model: TwoTower, start: Start, vocabulary: Mapping[str, int]) -> None:
    """Set the weights of an earlier training; an item that it did not know begins as drawn.

    Raises:
        ModelsError: the towers have another shape.
    """
    new = weights_of(model)
    old = dict(start.weights)
    if IDS in old:
        ids = new[IDS].copy()
        ids[0] = old[IDS][0]
        for item, number in vocabulary.items():
            if item in start.vocabulary:
                ids[number] = old[IDS][start.vocabulary[item]]
        old[IDS] = ids
    shapes = {name: weight.shape for name, weight in new.items()}
    if shapes != {name: weight.shape for name, weight in old.items()}:
        raise ModelsError("the earlier training's towers have another shape: train fully")
    set_weights(model, old)


def set_weights(model: TwoTower, weights: Mapping[str, Floats]) -> None:
    """Weights as `weights_of` names them."""
    model.item_tower.ids.set_weights([weights[IDS]])
    model.item_tower.words.set_weights([weights["item.words"]])
    model.item_tower.prices.set_weights([weights["item.prices"]])
    model.query_tower.set_weights([weights[f"query.{n}"] for n in range(len(model.query_tower.weights))])


def query_of(model: TwoTower, vectors: Floats) -> Callable[[Examples], Floats]:
    """Examples → query vectors float32[n, 64] over fixed item vectors."""
    fixed = tf.constant(vectors)

    def query(examples: Examples) -> Floats:
        slots, text = slot_vectors(fixed, examples.positions), model.item_tower.text(examples.words)
        found: Floats = model.query_tower((slots, examples.kinds, text, examples.facts)).numpy()
        return found

    return query


def batches(train: Examples, fit: Fit) -> tf.data.Dataset:
    """The rows in an order drawn anew for each epoch."""
    rows = {name: getattr(train, name) for name in ("positions", "kinds", "words", "facts", "labels")}
    data = tf.data.Dataset.from_tensor_slices(rows)
    data = data.shuffle(len(train), seed=fit.seed, reshuffle_each_iteration=True)
    return data.batch(fit.batch).prefetch(2)
