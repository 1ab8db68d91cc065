"""What searches vectors: ours, the same scan over whole numbers, and indexes that look at a part. All but usearch take the same filter.

A query carries the weight of popularity as its last number, an item its popularity: all search the same inner products.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import faiss
import numpy as np

from models.bench.vectors import Vectors
from models.decide.near import Near
from models.decide.scored import Floats, Ints, Mask

LISTS, PROBES = 1024, (32, 128)
LINKS, BREADTHS = 32, (500, 1000)
Search = Callable[[Floats, Mask | None, int], Ints]
"""Query float32[64], allowed items bool[items] (None: all), how many → rows of items, best first."""


@dataclass(frozen=True, slots=True)
class Method:
    """A search, and the bytes that it keeps."""

    search: Search
    bytes: int


Methods = Mapping[str, Method]
"""What one build gives, by name."""


def ours(vectors: Vectors, popular: float) -> Methods:
    """`models.decide.near`, asked as a request asks it."""
    near = Near(vectors.items, vectors.popularity)
    everything = np.ones(len(vectors.items), bool)

    def search(query: Floats, allowed: Mask | None, count: int) -> Ints:
        return near.best(query, popular, everything if allowed is None else allowed, count)

    return {"ours": Method(search, near.bytes)}


def exact(vectors: Vectors, popular: float) -> Methods:
    """Every item, in whole numbers."""
    index = faiss.IndexFlatIP(_wide(vectors).shape[1])
    return _methods(index, vectors, popular, {"exact": faiss.SearchParameters})


def ivf(vectors: Vectors, popular: float) -> Methods:
    """Those of 1,024 lists whose centre is nearest."""
    wide = _wide(vectors)
    flat = faiss.IndexFlatIP(wide.shape[1])
    index = faiss.IndexIVFFlat(flat, wide.shape[1], LISTS, faiss.METRIC_INNER_PRODUCT)
    how = {f"ivf_{n}": partial(faiss.SearchParametersIVF, nprobe=n) for n in PROBES}
    return _methods(index, vectors, popular, how)


def hnsw(vectors: Vectors, popular: float) -> Methods:
    """A graph of 32 links an item (Malkov, Yashunin 2016), searched with lists of some lengths."""
    index = faiss.IndexHNSWFlat(_wide(vectors).shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
    how = {f"hnsw_{n}": partial(faiss.SearchParametersHNSW, efSearch=n) for n in BREADTHS}
    return _methods(index, vectors, popular, how)


def usearch(vectors: Vectors, popular: float) -> Methods:
    """The same graph by usearch, of halves; it takes no filter."""
    from usearch.index import Index

    wide = _wide(vectors)
    index = Index(ndim=wide.shape[1], metric="ip", dtype="f16", connectivity=LINKS)
    index.add(np.arange(len(wide)), wide, threads=os.cpu_count() or 1)

    def searching(breadth: int) -> Search:
        def search(query: Floats, allowed: Mask | None, count: int) -> Ints:
            if allowed is not None:
                raise ValueError("usearch is asked without a filter")
            index.expansion_search = breadth  # type: ignore[misc]
            rows: Ints = index.search(np.append(query, np.float32(popular)), count, threads=1).keys
            return rows.astype(np.int32)

        return search

    return {f"usearch_{n}": Method(searching(n), int(index.memory_usage)) for n in BREADTHS}


BUILDERS: Mapping[str, Callable[[Vectors, float], Methods]] = {
    "ours": ours,
    "exact": exact,
    "ivf": ivf,
    "hnsw": hnsw,
    "usearch": usearch,
}


def _methods(index: Any, vectors: Vectors, popular: float, how: Mapping[str, Callable[..., Any]]) -> Methods:
    """One index, searched in one way or several."""
    wide = _wide(vectors)
    index.train(wide)
    index.add(wide)
    kept = len(faiss.serialize_index(index))

    def searching(parameters: Callable[..., Any]) -> Search:
        def search(query: Floats, allowed: Mask | None, count: int) -> Ints:
            asked = np.append(query, np.float32(popular))[None]
            bits = None if allowed is None else np.packbits(allowed, bitorder="little")
            some = {} if bits is None else {"sel": faiss.IDSelectorBitmap(bits)}
            _, found = index.search(asked, count, params=parameters(**some))
            rows: Ints = found[0][found[0] >= 0].astype(np.int32)
            return rows

        return search

    return {name: Method(searching(parameters), kept) for name, parameters in how.items()}


def _wide(vectors: Vectors) -> Floats:
    return np.hstack([vectors.items, vectors.popularity[:, None]]).astype(np.float32)
