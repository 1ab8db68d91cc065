"""A transformer's block, as both query towers are made of."""

from __future__ import annotations

from dataclasses import dataclass

from models.keras2 import tf


@dataclass(frozen=True, slots=True)
class BlockShape:
    """The hyper-parameters of a block."""

    dim: int
    heads: int
    dropout: float


class Block(tf.keras.layers.Layer):  # type: ignore[misc]
    """(x [n, slots, dim], seen bool[n, slots, slots]) → [n, slots, dim]: attention over what is seen, then two dense layers.

    Each is normalized before and added.
    """

    def __init__(self, shape: BlockShape, name: str) -> None:
        super().__init__(name=name)
        self.attend_norm = tf.keras.layers.LayerNormalization(epsilon=1e-6)
        self.attend = tf.keras.layers.MultiHeadAttention(
            shape.heads, shape.dim // shape.heads, dropout=shape.dropout
        )
        self.dense_norm = tf.keras.layers.LayerNormalization(epsilon=1e-6)
        self.wide = tf.keras.layers.Dense(4 * shape.dim, "gelu")
        self.narrow = tf.keras.layers.Dense(shape.dim)
        self.dropout = tf.keras.layers.Dropout(shape.dropout)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        x, seen = inputs
        normed = self.attend_norm(x)
        x += self.dropout(
            self.attend(normed, normed, attention_mask=seen, training=training), training=training
        )
        return x + self.dropout(self.narrow(self.wide(self.dense_norm(x))), training=training)
