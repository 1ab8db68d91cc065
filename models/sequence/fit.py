"""Fits the towers on sequences: every item of a sequence is the label of what precedes it.

Batches hold sequences of like length, so that little of them is padding; everything random follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from models.evaluation.cases import Cases, Floats, Ints, Ragged
from models.evaluation.ranking import Score
from models.keras2 import tf
from models.sequence.losses import sampled_softmax
from models.sequence.towers import ItemTower, QueryTower, Shape, item_slots, oldest_first
from models.towers import proposal

# Of the public sets every second sequence has at most four items: where lengths are told apart, little of a batch is padding.
LENGTHS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)


@dataclass(frozen=True, slots=True)
class Fit:
    """How training runs.

    Attributes:
        tokens: of a batch, about; a batch of short sequences has more of them.
        uniform: candidates drawn uniformly; `in_batch`: labels drawn from the batch.
        cosine: whether the learning rate falls, along a cosine, to a twentieth at the last of the epochs.
        patience: epochs without a better validation after which the best weights are kept.
    """

    epochs: int = 60
    tokens: int = 2048
    learning_rate: float = 1e-3
    uniform: int = 512
    in_batch: int = 0
    temperature: float = 1.0
    warmup: int = 200
    cosine: bool = False
    patience: int = 5
    seed: int = 0
    shape: Shape = field(default_factory=Shape)


@dataclass(slots=True)
class Towers:
    """Both towers, trained."""

    items: ItemTower
    query: QueryTower

    def score(self) -> Score[Cases]:
        """Dot products of each case's query with every item."""
        vectors = self.items(None)

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def queries(positions: tf.Tensor) -> tf.Tensor:
            return self.query(item_slots(vectors, positions))[:, -1]

        def score(cases: Cases) -> Floats:
            found = queries(oldest_first(cases.positions[:, : self.query.shape.slots]))
            scores: Floats = tf.matmul(found, vectors, transpose_b=True).numpy()
            return scores

        return score


def fit_towers(
    train: Ragged,
    items: int,
    attributes: Ragged | None,
    fit: Fit,
    after_epoch: Callable[[int, Towers, float], bool] = lambda epoch, towers, loss: True,
) -> Towers:
    """Train; after each epoch `after_epoch` (its number, the towers, the mean loss) says whether to go on."""
    tf.keras.utils.set_random_seed(fit.seed)
    towers = Towers(
        ItemTower(items, attributes if fit.shape.attributes else None, fit.shape), QueryTower(fit.shape)
    )
    share = np.bincount(train.values, minlength=items).astype(np.float32)
    chance = np.random.default_rng(fit.seed)
    sequences = _padded(train, fit.shape.slots + 1)
    steps = fit.epochs * sum(1 for _ in _batches(sequences, fit.tokens, np.random.default_rng(0)))
    step = _step(towers, tf.constant(share / share.sum()), items, fit, steps)
    for epoch in range(fit.epochs):
        losses = [step(tf.constant(batch)) for batch in _batches(sequences, fit.tokens, chance)]
        if not after_epoch(epoch, towers, float(np.mean([loss.numpy() for loss in losses]))):
            break
    return towers


def _step(
    towers: Towers, share: tf.Tensor, items: int, fit: Fit, steps: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    rate = _Warmup(fit.learning_rate, fit.warmup, steps if fit.cosine else 0)
    # Its update is one kernel; that of `optimizers.Adam` is a dozen passes over the items.
    optimizer = tf.keras.optimizers.legacy.Adam(rate, beta_2=0.98)

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.int32)])  # type: ignore[untyped-decorator]
    def step(batch: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            vectors = towers.items(None)
            queries = towers.query(item_slots(vectors, batch[:, :-1]), training=True)
            labels = tf.reshape(batch[:, 1:], [-1])
            asked = tf.reshape(batch[:, :-1], [-1]) >= 0
            candidates = tf.random.uniform([fit.uniform], 0, items, tf.int32)
            if fit.in_batch:
                there = labels[asked]
                drawn = tf.random.uniform([fit.in_batch], 0, tf.shape(there)[0], tf.int32)
                candidates = tf.concat([tf.gather(there, drawn), candidates], axis=0)
            expected = (fit.uniform + fit.in_batch) * proposal(
                tf.gather(share, candidates), fit.in_batch, fit.uniform, items
            )
            losses = sampled_softmax(
                tf.reshape(queries, [-1, fit.shape.dim]) / fit.temperature,
                labels,
                own=tf.gather(vectors, tf.maximum(labels, 0)),
                candidates=candidates,
                vectors=tf.gather(vectors, candidates),
                expected=expected,
            )
            # Weights instead of a selection: shapes repeat, and with them the kernels that were made for them.
            counted = tf.cast(asked, tf.float32)
            loss = tf.reduce_sum(losses * counted) / tf.reduce_sum(counted)
        weights = towers.items.trainable_variables + towers.query.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return loss

    found: Callable[[tf.Tensor], tf.Tensor] = step
    return found


class _Warmup(tf.keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """From 0 up to the rate within the first steps, then along half a cosine to a twentieth of it where `steps` says by when."""

    def __init__(self, rate: float, warmup: int, steps: int) -> None:
        self.rate, self.warmup, self.steps = rate, warmup, steps

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        done = tf.cast(step, tf.float32) + 1
        rate = self.rate * tf.minimum(1.0, done / max(self.warmup, 1))
        if not self.steps:
            return rate
        return rate * (0.525 + 0.475 * tf.cos(np.pi * tf.minimum(1.0, done / self.steps)))

    def get_config(self) -> dict[str, float]:
        return {"rate": self.rate, "warmup": self.warmup, "steps": self.steps}


def _padded(train: Ragged, slots: int) -> list[Ints]:
    """The sequences' last `slots` items by length: int32[n, length] arrays, oldest first, -1 before them."""
    lengths = np.minimum(train.lengths, slots)
    found, least = [], 2
    for longest in (*(length for length in LENGTHS if length < slots), slots):
        rows = train.where((lengths >= least) & (lengths <= longest))
        if len(rows):
            found.append(oldest_first(rows.newest(longest)))
        least = longest + 1
    return found


def _batches(sequences: list[Ints], tokens: int, chance: np.random.Generator) -> Iterator[Ints]:
    """The sequences in a new order, those of like length together."""
    batches = []
    for rows in sequences:
        size = max(1, tokens // rows.shape[1])
        order = chance.permutation(len(rows))
        batches += [rows[order[start : start + size]] for start in range(0, len(rows), size)]
    for number in chance.permutation(len(batches)):
        yield batches[number]
