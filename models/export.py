"""The towers as LiteRT files: one request's query tower, and an item tower that needs no TensorFlow either."""

from __future__ import annotations

from contracts.features import EMBEDDING_SIZE
from models.decide.facts import FACTS
from models.decide.query import SLOTS
from models.decide.words import WORDS
from models.keras2 import tf
from models.towers import ItemTower, QueryTower


def query_tower_file(tower: QueryTower, *, quantized: bool = False) -> bytes:
    """The query tower: (vectors [1, 80, 64], kinds int32 [1, 80], text [1, 64], facts [1, FACTS]) → query [1, 64].

    Float32, or with its weights as 8-bit integers: a quarter of the size, for a device.
    """
    vectors = tf.TensorSpec((1, SLOTS, EMBEDDING_SIZE), tf.float32, "item_vectors")
    kinds = tf.TensorSpec((1, SLOTS), tf.int32, "slot_kind")
    text = tf.TensorSpec((1, EMBEDDING_SIZE), tf.float32, "text")
    facts = tf.TensorSpec((1, FACTS), tf.float32, "facts")
    function = tf.function(
        lambda item_vectors, slot_kind, text, facts: tower(
            (item_vectors, slot_kind, text, facts), training=False
        )
    )
    return _converted(function.get_concrete_function(vectors, kinds, text, facts), tower, quantized=quantized)


def item_tower_file(tower: ItemTower) -> bytes:
    """The item tower, float32: (ids int32 [1], words int32 [1, 16], prices int32 [1]) → vector [1, 64]."""
    ids = tf.TensorSpec((1,), tf.int32, "ids")
    words = tf.TensorSpec((1, WORDS), tf.int32, "words")
    prices = tf.TensorSpec((1,), tf.int32, "prices")
    function = tf.function(lambda ids, words, prices: tower((ids, words, prices)))
    return _converted(function.get_concrete_function(ids, words, prices), tower)


def _converted(
    function: tf.types.experimental.ConcreteFunction, tower: tf.keras.Model, *, quantized: bool = False
) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tower)
    if quantized:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converted: bytes = converter.convert()
    return converted
