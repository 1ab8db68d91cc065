"""The two towers and their training objective: a TFRS retrieval model with logQ-corrected sampled softmax.

The query tower reads item *vectors*, so the item matrix lives once and a new item needs no new export. The
correction is that of Yi et al. 2019 (doi:10.1145/3298689.3346996) with the proposal's true probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.features import EMBEDDING_SIZE
from models.catalog import NO_WORD, PRICE_STEPS, UNKNOWN_ID, WORD_BUCKETS, ItemFeatures
from models.decide.query import EMPTY, NO_ITEM, SLOTS, USER_KIND
from models.keras2 import tf, tfrs
from models.sequence.block import Block, BlockShape

MASKED = -1e9
BLOCK_HEADS = 2


@dataclass(frozen=True, slots=True)
class Shape:
    """The hyper-parameters.

    Attributes:
        heads: attention heads over the slots.
        blocks: of a transformer over the slots, which tells the heads where to look; 0 is pooling alone.
        uniform_negatives: candidates drawn uniformly from the catalog beside those of the batch.
        session_dropout: share of the rows whose session is hidden in a step, so that what a shopper had before learns to
            speak alone: the first answer of a visit, and the next basket.
        id_dropout: share of the items whose id is hidden in a step, so that content learns to carry an item.
    """

    heads: int = 4
    blocks: int = 0
    hidden: int = 128
    temperature: float = 0.1
    uniform_negatives: int = 1024
    session_dropout: float = 0.15
    id_dropout: float = 0.1
    slot_dropout: float = 0.2


class ItemTower(tf.keras.Model):  # type: ignore[misc]
    """(ids [n], words [n, 10], prices [n]) → unit vectors [n, 64]: sum of an id's, its words' and its price's part."""

    def __init__(self, known_items: int) -> None:
        super().__init__(name="item_tower")
        self.ids = tf.keras.layers.Embedding(known_items + 1, EMBEDDING_SIZE, _normal(), name="ids")
        self.words = tf.keras.layers.Embedding(WORD_BUCKETS, EMBEDDING_SIZE, _normal(), name="words")
        self.prices = tf.keras.layers.Embedding(PRICE_STEPS, EMBEDDING_SIZE, _normal(), name="prices")

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        ids, words, prices = inputs
        there = tf.cast(tf.not_equal(words, NO_WORD), tf.float32)[:, :, None]
        count = tf.maximum(tf.reduce_sum(there, axis=1), 1.0)
        text = tf.reduce_sum(self.words(words) * there, axis=1) / tf.sqrt(count)
        return tf.math.l2_normalize(self.ids(ids) + text + self.prices(prices), axis=-1)


class QueryTower(tf.keras.Model):  # type: ignore[misc]
    """(slot vectors [n, 50, 64], slot kinds [n, 50]) → unit query vectors [n, 64]: attention pooling and a dense part."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(name="query_tower")
        self.places = self.add_weight(name="places", shape=(SLOTS, EMBEDDING_SIZE), initializer="zeros")
        self.recency = self.add_weight(name="recency", shape=(SLOTS, shape.heads), initializer="zeros")
        self.kinds = tf.keras.layers.Embedding(
            3, EMBEDDING_SIZE, embeddings_initializer="zeros", name="kinds"
        )
        self.attend = tf.keras.layers.Dense(EMBEDDING_SIZE, "tanh", name="attend")
        self.logits = tf.keras.layers.Dense(shape.heads, name="logits")
        block = BlockShape(EMBEDDING_SIZE, BLOCK_HEADS, shape.slot_dropout)
        self.blocks = [Block(block, f"block_{number}") for number in range(shape.blocks)]
        self.dropout = tf.keras.layers.Dropout(shape.slot_dropout, noise_shape=(None, SLOTS, 1))
        self.hidden = tf.keras.layers.Dense(shape.hidden, "relu", name="hidden")
        self.out = tf.keras.layers.Dense(EMBEDDING_SIZE, name="out")
        self.mix = tf.keras.layers.Dense(EMBEDDING_SIZE, use_bias=False, name="mix")

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool | None = None) -> tf.Tensor:
        vectors, kinds = inputs
        there = tf.cast(tf.not_equal(kinds, 0), tf.float32)[:, :, None]
        vectors = self.dropout(vectors, training=training)
        placed = vectors + self.places[None] + self.kinds(kinds)
        seen = tf.tile(tf.not_equal(kinds, 0)[:, None, :], [1, SLOTS, 1])
        for block in self.blocks:
            placed = block((placed, seen), training=training)
        newest = [placed[:, 0]] if self.blocks else []
        placed = self.attend(placed)
        weights = tf.nn.softmax(self.logits(placed) + self.recency[None] + (1.0 - there) * MASKED, axis=1)
        pooled = tf.matmul(weights * there, vectors, transpose_a=True)
        heads = tf.reshape(pooled, [-1, weights.shape[2] * EMBEDDING_SIZE])
        read = tf.concat([heads, vectors[:, 0], kinds_share(kinds), *newest], axis=1)
        return tf.math.l2_normalize(self.mix(read) + self.out(self.hidden(read)), axis=-1)


def _normal() -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomNormal(stddev=0.05)


def kinds_share(kinds: tf.Tensor) -> tf.Tensor:
    """[n, 2]: which part of the slots the session and the user fill."""
    session = tf.reduce_mean(tf.cast(tf.equal(kinds, 1), tf.float32), axis=1)
    user = tf.reduce_mean(tf.cast(tf.equal(kinds, 2), tf.float32), axis=1)
    return tf.stack([session, user], axis=1)


class TwoTower(tfrs.Model):  # type: ignore[misc]
    """Both towers over one catalog; the item vectors of all items are computed once a step.

    Args:
        frequencies: float32[items], how often each item is a label; the in-batch proposal.
    """

    def __init__(
        self, items: ItemFeatures, known_items: int, frequencies: npt.NDArray[np.float32], shape: Shape
    ) -> None:
        super().__init__()
        self.item_tower = ItemTower(known_items)
        self.query_tower = QueryTower(shape)
        self.shape = shape
        self.catalog = tuple(tf.constant(part) for part in (items.ids, items.words, items.prices))
        self.share = tf.constant(frequencies / frequencies.sum(), tf.float32)
        self.task = tfrs.tasks.Retrieval(temperature=shape.temperature, remove_accidental_hits=True)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        vectors = self.item_vectors(training)
        positions, kinds = inputs["positions"], inputs["kinds"]
        if training:
            hidden = tf.random.uniform(tf.shape(kinds)[:1]) < self.shape.session_dropout
            hidden &= tf.reduce_any(tf.equal(kinds, USER_KIND), axis=1)  # of nothing nothing is learned
            positions, kinds = without_session(positions, kinds, hidden)
        queries = self.query_tower((slot_vectors(vectors, positions), kinds), training=training)
        candidates = self._candidates(inputs["labels"])
        return self.task(
            queries,
            tf.gather(vectors, candidates),
            candidate_sampling_probability=proposal(
                tf.gather(self.share, candidates),
                tf.shape(queries)[0],
                self.shape.uniform_negatives,
                self.share.shape[0],
            ),
            candidate_ids=candidates,
            compute_metrics=False,
            compute_batch_metrics=False,
        )

    def item_vectors(self, training: bool = False) -> tf.Tensor:
        """[items, 64]; in training a share of the ids is hidden."""
        ids, words, prices = self.catalog
        if training:
            hidden = tf.random.uniform(tf.shape(ids)) < self.shape.id_dropout
            ids = tf.where(hidden, UNKNOWN_ID, ids)
        return self.item_tower((ids, words, prices))

    def _candidates(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels of the batch, then items drawn uniformly."""
        drawn = tf.random.uniform([self.shape.uniform_negatives], 0, self.share.shape[0], tf.int32)
        return tf.concat([labels, drawn], axis=0)


def without_session(positions: tf.Tensor, kinds: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Slots [n, 50] and their kinds; of the rows `hidden` bool[n] those of the user alone, moved up, as when a visit begins."""
    order = tf.argsort(tf.cast(tf.not_equal(kinds, USER_KIND), tf.int32), axis=1, stable=True)
    moved = tf.gather(kinds, order, batch_dims=1)
    kept = tf.equal(moved, USER_KIND)
    blind = tf.where(kept, tf.gather(positions, order, batch_dims=1), NO_ITEM)
    return tf.where(hidden[:, None], blind, positions), tf.where(
        hidden[:, None], tf.where(kept, moved, EMPTY), kinds
    )


def proposal(share: tf.Tensor, batch: tf.Tensor, uniform: int, items: int) -> tf.Tensor:
    """q(i) = (B p(i) + U / N) / (B + U): how likely a candidate is i, of the batch's B and the U uniform ones."""
    size = tf.cast(batch, tf.float32)
    return (size * share + uniform / items) / (size + uniform)


def slot_vectors(vectors: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """[n, 50, 64] of positions [n, 50]; zeros where a position is -1."""
    padded = tf.concat([tf.zeros_like(vectors[:1]), vectors], axis=0)
    return tf.gather(padded, positions + 1)
