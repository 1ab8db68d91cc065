"""Text as the towers read it: words → buckets → one vector. Titles, categories, brands, search terms and interests share the words."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

WORDS = 16
TITLE_WORDS = 10
"""Of an item's words those of the title; the rest are of category and brand."""
WORD_BUCKETS = 16_384
NO_WORD = 0
WORD = re.compile(r"[^\W_]+")

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


def word_buckets(*texts: str | None) -> Ints:
    """int32[16]: buckets 1 … WORD_BUCKETS-1 of the texts' first words, once each, filled up with 0."""
    words = _different(texts, WORDS)
    buckets = np.full(WORDS, NO_WORD, np.int32)
    buckets[: len(words)] = [1 + zlib.crc32(word.encode()) % (WORD_BUCKETS - 1) for word in words]
    return buckets


def item_words(title: str, category: str | None, brand: str | None) -> Ints:
    """int32[16] of an item: the title's first 10 words, then those of brand and category."""
    return word_buckets(*_different((title,), TITLE_WORDS), brand, category)


def known_words(word_vectors: Floats, buckets: Ints) -> Ints:
    """The buckets that have a vector; NO_WORD in place of the others: a word that no text of the catalog holds says nothing."""
    if not len(word_vectors):
        return np.full_like(buckets, NO_WORD)
    return np.where(word_vectors[buckets].any(axis=1), buckets, NO_WORD).astype(np.int32)


def _different(texts: Iterable[str | None], most: int) -> list[str]:
    found = (word for text in texts if text for word in WORD.findall(text.lower()))
    return list(dict.fromkeys(found))[:most]


def bucket_rows(texts: Iterable[str | None]) -> Ints:
    """int32[n, 16], a row a text."""
    return np.array([word_buckets(text) for text in texts], np.int32).reshape(-1, WORDS)


def text_vector(word_vectors: Floats, buckets: Ints) -> Floats:
    """Unit vector float32[dim] of the words' sum; zeros where there is none.

    Args:
        word_vectors: float32[WORD_BUCKETS, dim], the item tower's.
        buckets: int32[16].
    """
    summed = word_vectors[buckets[buckets != NO_WORD]].sum(axis=0)
    found: Floats = (summed / max(float(np.linalg.norm(summed)), 1e-9)).astype(np.float32)
    return found
