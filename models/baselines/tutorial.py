"""The two-tower as TensorFlow Recommenders' tutorial on sequential retrieval writes it.

https://www.tensorflow.org/recommenders/examples/sequential_retrieval: an embedding and a GRU over the last ten item ids against an
embedding of the item, in-batch softmax without a correction, Adagrad. What a search may change are its learning rate, its size and
its epochs; the tutorial takes 0.1, 32 and 3. Its batch of 12,800 of a million rows is 4,096 here, for fewer rows.
"""

from __future__ import annotations

import math
import time

import numpy as np

from models.evaluation.cases import Cases, Floats, Interactions, Ints, Ragged
from models.evaluation.ranking import Score
from models.keras2 import tf, tfrs

HISTORY = 10
BATCH = 4096
SEED = 0


class TutorialTwoTower(tfrs.Model):  # type: ignore[misc]
    """Rows are (history int32[n, 10], label int32[n]); an item is its number plus one, 0 is padding."""

    def __init__(self, items: int, size: int) -> None:
        super().__init__()
        self.query_model = tf.keras.Sequential(
            [tf.keras.layers.Embedding(items + 1, size), tf.keras.layers.GRU(size)]
        )
        self.candidate_model = tf.keras.layers.Embedding(items + 1, size)
        self.task = tfrs.tasks.Retrieval()
        self.epoch_ends: list[float] = []

    def compute_loss(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        history, label = inputs
        return self.task(self.query_model(history), self.candidate_model(label), compute_metrics=False)


def fit_tutorial(
    train: Interactions,
    items: int,
    *,
    learning_rate: float,
    size: int,
    epochs: int,
    most_seconds: float = math.inf,
) -> TutorialTwoTower:
    """Train on every item of a session with the ten before it, to the end of the epoch in which `most_seconds` have passed."""
    tf.keras.utils.set_random_seed(SEED)
    model = TutorialTwoTower(items, size)
    model.compile(optimizer=tf.keras.optimizers.Adagrad(learning_rate))
    began = time.perf_counter()

    def after_epoch(epoch: int, logs: object) -> None:
        model.epoch_ends.append(time.perf_counter())
        model.stop_training = model.epoch_ends[-1] - began > most_seconds

    watch = tf.keras.callbacks.LambdaCallback(on_epoch_end=after_epoch)
    model.fit(tutorial_rows(train), epochs=epochs, verbose=0, callbacks=[watch])
    return model


def tutorial_rows(train: Interactions) -> tf.data.Dataset:
    """The tutorial's input: shuffled once, batched, cached."""
    history, label = _prefixes(train)
    data = tf.data.Dataset.from_tensor_slices((history, label))
    return data.shuffle(len(label), seed=SEED, reshuffle_each_iteration=False).batch(BATCH).cache()


def score_tutorial(model: TutorialTwoTower, items: int) -> Score[Cases]:
    """Dot products of each case's query with every item."""
    vectors = model.candidate_model(tf.range(1, items + 1))

    def score(cases: Cases) -> Floats:
        queries = model.query_model(_padded(cases.positions[:, :HISTORY]))
        scores: Floats = tf.matmul(queries, vectors, transpose_b=True).numpy()
        return scores

    return score


def _prefixes(train: Interactions) -> tuple[Ints, Ints]:
    order = np.argsort(train.sessions, kind="stable")
    sessions, items = train.sessions[order], train.items[order]
    starts = np.flatnonzero(np.diff(sessions, prepend=-1))
    offsets = np.append(starts, len(items)).astype(np.int64)
    histories, labels, _ = Ragged(items, offsets).prefixes()
    return _padded(histories.newest(HISTORY)), (labels + 1).astype(np.int32)


def _padded(positions: Ints) -> Ints:
    """Oldest first and ending with padding, as the tutorial's; an empty history is one padding."""
    numbers = positions[:, ::-1] + 1
    order = np.argsort(numbers == 0, axis=1, kind="stable")
    found: Ints = np.take_along_axis(numbers, order, axis=1).astype(np.int32)
    if found.shape[1] < HISTORY:
        found = np.pad(found, ((0, 0), (0, HISTORY - found.shape[1])))
    return found
