"""The two towers over sequences: item vectors from id and attributes, queries by a small causal transformer over them.

The query tower reads item vectors, never ids, as `models.towers` does. Blocks are those of SASRec (Kang & McAuley 2018,
arXiv:1808.09781), normalized before instead of after; a position stands for how far back an item lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.evaluation.cases import Ragged
from models.keras2 import tf
from models.sequence.block import Block, BlockShape


@dataclass(frozen=True, slots=True)
class Shape:
    """The hyper-parameters of both towers.

    Attributes:
        slots: how many items back the query tower looks.
        dropout: of the transformer's inputs and branches.
        unit: whether the vectors of both towers have length 1 (Gupta et al. 2019, arXiv:1909.04276); the loss then needs
            a temperature. Else the length says how popular an item is.
    """

    dim: int = 64
    blocks: int = 2
    heads: int = 2
    slots: int = 50
    dropout: float = 0.5
    attributes: bool = True
    unit: bool = False


class ItemTower(tf.keras.Model):  # type: ignore[misc]
    """All items' vectors [items, dim]: an id's part, and the mean of its attributes' parts."""

    def __init__(self, items: int, attributes: Ragged | None, shape: Shape) -> None:
        super().__init__(name="item_tower")
        self.unit, dim = shape.unit, shape.dim
        self.ids = self.add_weight(name="ids", shape=(items, dim), initializer=_normal())
        self.shares = None if attributes is None else _shares(attributes)
        if attributes is not None:
            known = int(attributes.values.max()) + 1
            self.parts = self.add_weight(name="attributes", shape=(known, dim), initializer=_normal())

    def call(self, inputs: None = None) -> tf.Tensor:
        vectors = tf.convert_to_tensor(self.ids)
        if self.shares is not None:
            vectors += tf.sparse.sparse_dense_matmul(self.shares, self.parts)
        return tf.math.l2_normalize(vectors, axis=-1) if self.unit else vectors


def _normal() -> tf.keras.initializers.Initializer:
    """One for each weight: the same one would give each the same values."""
    return tf.keras.initializers.TruncatedNormal(stddev=0.02)


def _shares(attributes: Ragged) -> tf.sparse.SparseTensor:
    """[items, attributes]: 1 / n for each of an item's n attributes."""
    rows = attributes.rows
    shares = 1 / attributes.lengths[rows].astype(np.float32)
    places = np.stack([rows, attributes.values], axis=1).astype(np.int64)
    order = np.lexsort((places[:, 1], places[:, 0]))
    shape = (len(attributes), int(attributes.values.max()) + 1)
    return tf.sparse.SparseTensor(places[order], shares[order], shape)


class QueryTower(tf.keras.Model):  # type: ignore[misc]
    """(item vectors [n, slots, dim] oldest first and ending with the newest, there bool[n, slots]) → [n, slots, dim].

    Row s is the query after the s-th item; the last row is that of the whole history.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(name="query_tower")
        self.shape = shape
        self.places = self.add_weight(name="places", shape=(shape.slots, shape.dim), initializer=_normal())
        self.blocks = [
            Block(BlockShape(shape.dim, shape.heads, shape.dropout), f"block_{number}")
            for number in range(shape.blocks)
        ]
        self.norm = tf.keras.layers.LayerNormalization(epsilon=1e-6)
        self.dropout = tf.keras.layers.Dropout(shape.dropout)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        vectors, there = inputs
        slots = tf.shape(vectors)[1]
        kept = tf.cast(there, tf.float32)[:, :, None]
        # Unit vectors are about as long as what is learned beside them; others begin 50 times shorter.
        x = (vectors if self.shape.unit else vectors * self.shape.dim**0.5) + self.places[-slots:][None]
        x = self.dropout(x * kept, training=training)
        causal = tf.linalg.band_part(tf.ones((slots, slots), tf.bool), -1, 0)
        seen = causal[None] & there[:, None, :]
        for block in self.blocks:
            x = block((x, seen), training=training)
        x = self.norm(x)
        return tf.math.l2_normalize(x, axis=-1) if self.shape.unit else x


def item_slots(vectors: tf.Tensor, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Vectors [n, slots, dim] of positions [n, slots], zeros where one is -1; and where one is there."""
    there = positions >= 0
    return tf.gather(vectors, tf.maximum(positions, 0)) * tf.cast(there, tf.float32)[:, :, None], there


def oldest_first(positions: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The same slots turned around: the newest item ends each row."""
    return positions[:, ::-1]
