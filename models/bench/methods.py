"""What searches vectors: ours, the same scan over whole numbers, and indexes that look at a part. All take the same filter.

A query carries the weight of popularity as its last number, an item its popularity: all search the same inner products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from models.bench.vectors import Vectors
from models.decide.near import Near
from models.decide.scored import Floats, Ints, Mask

LISTS = 1024
LINKS = 32
Search = Callable[[Floats, Mask | None, int], Ints]
"""Query float32[64], allowed items bool[items] (None: all), how many → rows of items, best first."""


@dataclass(frozen=True, slots=True)
class Method:
    """A search, and the bytes that it keeps."""

    search: Search
    bytes: int


def ours(vectors: Vectors, popular: float) -> Method:
    """`models.decide.near`, asked as a request asks it."""
    near = Near(vectors.items, vectors.popularity)
    everything = np.ones(len(vectors.items), bool)

    def search(query: Floats, allowed: Mask | None, count: int) -> Ints:
        return near.best(query, popular, everything if allowed is None else allowed, count)

    return Method(search, near.bytes)


def exact(vectors: Vectors, popular: float) -> Method:
    """Every item, in whole numbers."""
    return _faiss(faiss.IndexFlatIP(_wide(vectors).shape[1]), vectors, popular, faiss.SearchParameters, {})


def ivf(vectors: Vectors, popular: float, probes: int) -> Method:
    """The `probes` of 1,024 lists whose centre is nearest."""
    wide = _wide(vectors)
    flat = faiss.IndexFlatIP(wide.shape[1])
    index = faiss.IndexIVFFlat(flat, wide.shape[1], LISTS, faiss.METRIC_INNER_PRODUCT)
    return _faiss(index, vectors, popular, faiss.SearchParametersIVF, {"nprobe": probes})


def hnsw(vectors: Vectors, popular: float, breadth: int) -> Method:
    """A graph of 32 links an item (Malkov, Yashunin 2016), searched with a list of `breadth`."""
    index = faiss.IndexHNSWFlat(_wide(vectors).shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    return _faiss(index, vectors, popular, faiss.SearchParametersHNSW, {"efSearch": breadth})


BUILDERS: Mapping[str, Callable[[Vectors, float], Method]] = {
    "ours": ours,
    "exact": exact,
    "ivf_32": lambda vectors, popular: ivf(vectors, popular, 32),
    "ivf_128": lambda vectors, popular: ivf(vectors, popular, 128),
    "hnsw_500": lambda vectors, popular: hnsw(vectors, popular, 500),
    "hnsw_1000": lambda vectors, popular: hnsw(vectors, popular, 1000),
}


def _faiss(
    index: Any, vectors: Vectors, popular: float, of: Callable[..., Any], how: Mapping[str, int]
) -> Method:
    wide = _wide(vectors)
    index.train(wide)
    index.add(wide)

    def search(query: Floats, allowed: Mask | None, count: int) -> Ints:
        asked = np.append(query, np.float32(popular))[None]
        bits = None if allowed is None else np.packbits(allowed, bitorder="little")
        some = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
        _, found = index.search(asked, count, params=of(**some, **how))
        rows: Ints = found[0][found[0] >= 0].astype(np.int32)
        return rows

    return Method(search, len(faiss.serialize_index(index)))


def _wide(vectors: Vectors) -> Floats:
    return np.hstack([vectors.items, vectors.popularity[:, None]]).astype(np.float32)
