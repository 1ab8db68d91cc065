"""The two towers and their training objective: a TFRS retrieval model with logQ-corrected sampled softmax.

The query tower reads item *vectors*, so the item matrix lives once and a new item needs no new export. The
correction is that of Yi et al. 2019 (doi:10.1145/3298689.3346996) with the proposal's true probability.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.features import EMBEDDING_SIZE
from models.catalog import PRICE_STEPS, UNKNOWN_ID, ItemFeatures
from models.decide.facts import FACTS, OF_REQUEST, OF_SESSION, OF_USER
from models.decide.query import CARTED_KIND, EMPTY, KINDS, NO_ITEM, SESSION_KIND, SLOTS, USER_KIND, WORDS_KIND
from models.decide.words import NO_WORD, WORD_BUCKETS
from models.keras2 import tf, tfrs
from models.sequence.block import Block, BlockShape

MASKED = -1e9
BLOCK_HEADS = 2
PLACES = SLOTS + 1
"""The slots, and the words behind them."""
WORDS_ALONE = 0.7
NAMELESS = 0.5
"""Of who is told words alone: whose facts of session and user are hidden as well."""
REQUEST_HIDDEN = 0.1
"""Share of the rows without the request's facts: a list for an e-mail has none."""
WORD_KEPT = 0.4
FACTS_HIDDEN = 32
NEAREST = 20
"""Of the items most like a label: what hard negatives are drawn from."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The hyper-parameters.

    Attributes:
        heads: attention heads over the slots.
        blocks: of a transformer over the slots, which tells the heads where to look; 0 is pooling alone.
        uniform_negatives: candidates drawn uniformly from the catalog beside those of the batch.
        hard_negatives: candidates drawn beside them from the items most like the batch's labels, by the vectors that each
            epoch begins with (`train.Mining`).
        session_dropout: share of the rows whose session is hidden in a step, so that what a shopper had before learns to
            speak alone: the first answer of a visit, and the next basket.
        words_told: share of the rows that are told some words of the label's own text in a step, most of them nothing else, so that
            a search term or a questionnaire is understood where the shop has recorded none yet.
        id_dropout: share of the items whose id is hidden in a step, so that content learns to carry an item.
    """

    heads: int = 4
    blocks: int = 0
    hidden: int = 128
    temperature: float = 0.1
    uniform_negatives: int = 1024
    hard_negatives: int = 0
    session_dropout: float = 0.15
    words_told: float = 0.1
    id_dropout: float = 0.1
    slot_dropout: float = 0.2
    facts_dropout: float = 0.2


class ItemTower(tf.keras.Model):  # type: ignore[misc]
    """(ids [n], words [n, 16], prices [n]) → unit vectors [n, 64]: sum of an id's, its words' and its price's part."""

    def __init__(self, known_items: int) -> None:
        super().__init__(name="item_tower")
        self.ids = tf.keras.layers.Embedding(known_items + 1, EMBEDDING_SIZE, _normal(), name="ids")
        self.words = tf.keras.layers.Embedding(WORD_BUCKETS, EMBEDDING_SIZE, _normal(), name="words")
        self.prices = tf.keras.layers.Embedding(PRICE_STEPS, EMBEDDING_SIZE, _normal(), name="prices")

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        ids, words, prices = inputs
        count = tf.reduce_sum(tf.cast(tf.not_equal(words, NO_WORD), tf.float32), axis=1, keepdims=True)
        text = self.sums(words) / tf.sqrt(tf.maximum(count, 1.0))
        return tf.math.l2_normalize(self.ids(ids) + text + self.prices(prices), axis=-1)

    def sums(self, words: tf.Tensor) -> tf.Tensor:
        """[n, 64]: the words' parts, summed."""
        there = tf.cast(tf.not_equal(words, NO_WORD), tf.float32)[:, :, None]
        return tf.reduce_sum(self.words(words) * there, axis=1)

    def text(self, words: tf.Tensor) -> tf.Tensor:
        """Unit vectors [n, 64] of words [n, 16] alone, zeros of none: as `decide.words.text_vector`."""
        return tf.math.l2_normalize(self.sums(words), axis=-1)


class QueryTower(tf.keras.Model):  # type: ignore[misc]
    """(slot vectors [n, 80, 64], slot kinds [n, 80], text [n, 64], facts [n, FACTS]) → unit query vectors [n, 64].

    Attention pools the slots and, as one more of them, the words; a dense part reads that, the newest item and the facts.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(name="query_tower")
        self.places = self.add_weight(name="places", shape=(PLACES, EMBEDDING_SIZE), initializer="zeros")
        self.recency = self.add_weight(name="recency", shape=(PLACES, shape.heads), initializer="zeros")
        self.kinds = tf.keras.layers.Embedding(
            KINDS, EMBEDDING_SIZE, embeddings_initializer="zeros", name="kinds"
        )
        self.attend = tf.keras.layers.Dense(EMBEDDING_SIZE, "tanh", name="attend")
        self.logits = tf.keras.layers.Dense(shape.heads, name="logits")
        block = BlockShape(EMBEDDING_SIZE, BLOCK_HEADS, shape.slot_dropout)
        self.blocks = [Block(block, f"block_{number}") for number in range(shape.blocks)]
        self.dropout = tf.keras.layers.Dropout(shape.slot_dropout, noise_shape=(None, PLACES, 1))
        self.facts = tf.keras.layers.Dense(FACTS_HIDDEN, "relu", name="facts")
        self.facts_dropout = tf.keras.layers.Dropout(shape.facts_dropout)
        self.hidden = tf.keras.layers.Dense(shape.hidden, "relu", name="hidden")
        self.out = tf.keras.layers.Dense(EMBEDDING_SIZE, name="out")
        self.mix = tf.keras.layers.Dense(EMBEDDING_SIZE, use_bias=False, name="mix")

    def call(
        self, inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], training: bool | None = None
    ) -> tf.Tensor:
        slots, of_slots, text, facts = inputs
        said = tf.reduce_any(tf.not_equal(text, 0.0), axis=1, keepdims=True)
        vectors = tf.concat([slots, text[:, None, :]], axis=1)
        kinds = tf.concat([of_slots, tf.where(said, WORDS_KIND, EMPTY)], axis=1)
        there = tf.cast(tf.not_equal(kinds, EMPTY), tf.float32)[:, :, None]
        vectors = self.dropout(vectors, training=training)
        placed = vectors + self.places[None] + self.kinds(kinds)
        seen = tf.tile(tf.not_equal(kinds, EMPTY)[:, None, :], [1, PLACES, 1])
        for block in self.blocks:
            placed = block((placed, seen), training=training)
        newest = [placed[:, 0]] if self.blocks else []
        placed = self.attend(placed)
        weights = tf.nn.softmax(self.logits(placed) + self.recency[None] + (1.0 - there) * MASKED, axis=1)
        pooled = tf.matmul(weights * there, vectors, transpose_a=True)
        heads = tf.reshape(pooled, [-1, weights.shape[2] * EMBEDDING_SIZE])
        facts = self.facts_dropout(self.facts(facts), training=training)
        read = tf.concat([heads, vectors[:, 0], kinds_share(of_slots), facts, *newest], axis=1)
        return tf.math.l2_normalize(self.mix(read) + self.out(self.hidden(read)), axis=-1)


def _normal() -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.RandomNormal(stddev=0.05)


def kinds_share(kinds: tf.Tensor) -> tf.Tensor:
    """[n, 2]: which part of the slots the session and the user fill."""
    of_session = tf.logical_or(tf.equal(kinds, SESSION_KIND), tf.equal(kinds, CARTED_KIND))
    session = tf.reduce_mean(tf.cast(of_session, tf.float32), axis=1)
    user = tf.reduce_mean(tf.cast(tf.equal(kinds, USER_KIND), tf.float32), axis=1)
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
        self.near = tf.Variable(tf.zeros([len(items.ids), NEAREST], tf.int32), trainable=False, name="near")
        self.near_share = tf.Variable(tf.zeros([len(items.ids)]), trainable=False, name="near_share")
        self.task = tfrs.tasks.Retrieval(temperature=shape.temperature, remove_accidental_hits=True)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        vectors = self.item_vectors(training)
        positions, kinds, words, facts = (inputs[name] for name in ("positions", "kinds", "words", "facts"))
        if training:
            hidden = self._drawn(kinds, self.shape.session_dropout)
            hidden &= tf.reduce_any(tf.equal(kinds, USER_KIND), axis=1)  # of nothing nothing is learned
            positions, kinds = without_session(positions, kinds, hidden)
            facts = without_facts(facts, hidden, OF_SESSION)
            facts = without_facts(facts, self._drawn(kinds, REQUEST_HIDDEN), OF_REQUEST)
            positions, kinds, words, alone = self._told(positions, kinds, words, inputs["labels"])
            nameless = alone & self._drawn(kinds, NAMELESS)
            facts = without_facts(without_facts(facts, nameless, OF_SESSION), nameless, OF_USER)
        text = self.item_tower.text(words)
        queries = self.query_tower((slot_vectors(vectors, positions), kinds, text, facts), training=training)
        candidates = self._candidates(inputs["labels"])
        return self.task(
            queries,
            tf.gather(vectors, candidates),
            candidate_sampling_probability=self._proposal(candidates, tf.shape(queries)[0]),
            candidate_ids=candidates,
            compute_metrics=False,
            compute_batch_metrics=False,
        )

    def _proposal(self, candidates: tf.Tensor, batch: tf.Tensor) -> tf.Tensor:
        shape = self.shape
        q = proposal(tf.gather(self.share, candidates), batch, shape.uniform_negatives, self.share.shape[0])
        near = tf.gather(self.near_share, candidates)
        return with_hard(q, near, batch + shape.uniform_negatives, shape.hard_negatives)

    def item_vectors(self, training: bool = False) -> tf.Tensor:
        """[items, 64]; in training a share of the ids is hidden."""
        ids, words, prices = self.catalog
        if training:
            hidden = tf.random.uniform(tf.shape(ids)) < self.shape.id_dropout
            ids = tf.where(hidden, UNKNOWN_ID, ids)
        return self.item_tower((ids, words, prices))

    def _told(
        self, positions: tf.Tensor, kinds: tf.Tensor, words: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Rows of which a share is told some words of the label's text; of those most lose their slots: bool[n] says which."""
        own = tf.gather(self.catalog[1], labels)
        own = tf.where(tf.random.uniform(tf.shape(own)) < WORD_KEPT, own, NO_WORD)
        told = self._drawn(labels, self.shape.words_told)
        told &= tf.reduce_any(tf.not_equal(own, NO_WORD), axis=1)
        alone = told & self._drawn(labels, WORDS_ALONE)
        return (
            tf.where(alone[:, None], NO_ITEM, positions),
            tf.where(alone[:, None], EMPTY, kinds),
            tf.where(told[:, None], own, words),
            alone,
        )

    @staticmethod
    def _drawn(rows: tf.Tensor, share: float) -> tf.Tensor:
        """bool[n]: a share of the rows, drawn anew."""
        return tf.random.uniform(tf.shape(rows)[:1]) < share

    def _candidates(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels of the batch, items drawn uniformly, and some that are like labels drawn from the batch."""
        drawn = tf.random.uniform([self.shape.uniform_negatives], 0, self.share.shape[0], tf.int32)
        hard = self.shape.hard_negatives
        of = tf.gather(labels, tf.random.uniform([hard], 0, tf.shape(labels)[0], tf.int32))
        nearest = tf.stack([of, tf.random.uniform([hard], 0, NEAREST, tf.int32)], axis=1)
        return tf.concat([labels, drawn, tf.gather_nd(self.near, nearest)], axis=0)


def without_session(positions: tf.Tensor, kinds: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Slots [n, 80] and their kinds; of the rows `hidden` bool[n] those of the user alone, moved up, as when a visit begins."""
    order = tf.argsort(tf.cast(tf.not_equal(kinds, USER_KIND), tf.int32), axis=1, stable=True)
    moved = tf.gather(kinds, order, batch_dims=1)
    kept = tf.equal(moved, USER_KIND)
    blind = tf.where(kept, tf.gather(positions, order, batch_dims=1), NO_ITEM)
    return tf.where(hidden[:, None], blind, positions), tf.where(
        hidden[:, None], tf.where(kept, moved, EMPTY), kinds
    )


def without_facts(facts: tf.Tensor, hidden: tf.Tensor, part: slice) -> tf.Tensor:
    """Facts [n, FACTS], those of the part 0 in the rows `hidden` bool[n]."""
    of_part = np.zeros(FACTS, bool)
    of_part[part] = True
    return tf.where(hidden[:, None] & of_part[None], 0.0, facts)


def proposal(share: tf.Tensor, batch: tf.Tensor, uniform: int, items: int) -> tf.Tensor:
    """q(i) = (B p(i) + U / N) / (B + U): how likely a candidate is i, of the batch's B and the U uniform ones."""
    size = tf.cast(batch, tf.float32)
    return (size * share + uniform / items) / (size + uniform)


def with_hard(q: tf.Tensor, near: tf.Tensor, others: tf.Tensor, hard: int) -> tf.Tensor:
    """The same with H hard ones beside the `others`, of which i is drawn with probability h(i) (`near`): ((B + U) q + H h) / (B + U + H)."""
    share = hard / (tf.cast(others, tf.float32) + hard)
    return q + share * (near - q)


def slot_vectors(vectors: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
    """[n, 80, 64] of positions [n, 80]; zeros where a position is -1."""
    padded = tf.concat([tf.zeros_like(vectors[:1]), vectors], axis=0)
    return tf.gather(padded, positions + 1)
