"""The items that answer a query best, among those that a filter lets pass.

What everybody takes is a dimension of its own beside the vector's, so that what is searched is q · v(i) + w p(i), the two parts of the blend
that speak of every item. Vectors are kept as halves (faiss): a candidate's score is worked out again from whole ones.

```
few pass      ─► each of them, in whole numbers: exact
small catalog ─► one scan of all, under the filter's bitmap: exact, but for the rounding to halves
else          ─► the nearest lists (k-means), as many as it takes until they hold `LOOKED_AT` × count that pass
```
A list counts by what passes in it, told from a part of the items: a filter that leaves one category does not end the search in lists
that hold none of it, and what comes back is never fewer than pass.
"""

from __future__ import annotations

import faiss
import numpy as np

from models.decide.scored import Floats, Ints, Mask

LANES = 8
"""Numbers that one instruction takes: a vector is filled up to a multiple of it."""
SCANNED = 50_000
"""Up to so many items one scan is as fast as lists are."""
LOOKED_AT = 64
"""So many items that pass are looked at for each that is wanted: recall at 500 is above .99 (make bench-retrieval)."""
SAMPLED = 31
"""Every so many items tell how many of a list pass; no power of two, in which a catalog's variants may lie."""
LEARNED_FROM = 64
"""Items a list that its centre is made of."""
ROUNDS = 10


class Near:
    """Searches float32[items, dim] `vectors` with float32[items] `popularity` beside them; by lists above `scanned` items."""

    def __init__(
        self,
        vectors: Floats,
        popularity: Floats,
        scanned: int = SCANNED,
        index: faiss.Index | None = None,
    ) -> None:
        """`index`: what `stored` gave of the same vectors; made here where there is none."""
        if vectors.shape[:1] != popularity.shape:
            raise ValueError(f"{len(vectors)} vectors, but the popularity of {len(popularity)} items")
        self._vectors, self._popularity = vectors, popularity
        self._index = _made(vectors, popularity, scanned) if index is None else index
        if self._index.ntotal != len(vectors):
            raise ValueError(f"{len(vectors)} vectors, but an index of {self._index.ntotal}")
        self._centres = np.empty((0, self._index.d), np.float32)
        if isinstance(self._index, faiss.IndexIVF):
            self._centres = self._index.quantizer.reconstruct_n(0, self._index.nlist)
            self._list_of = _lists_of(self._index)[::SAMPLED].astype(np.intp)

    def stored(self) -> bytes:
        """The index as a file of faiss's."""
        found: bytes = faiss.serialize_index(self._index).tobytes()
        return found

    @property
    def bytes(self) -> int:
        """What is kept in memory beside the vectors."""
        lists = len(self._centres) and self._centres.nbytes + self._index.ntotal * 8
        return int(self._index.ntotal * self._index.sa_code_size() + lists)

    def best(self, query: Floats, popular: float, allowed: Mask, count: int) -> Ints:
        """int32[≤ count]: the allowed items with the greatest `query` · vector + `popular` × popularity, greatest first.

        Args:
            query: float32[dim].
            allowed: bool[items].
        """
        # One request is one thread's work, and the number of threads is the calling thread's own: others would fight with other requests.
        faiss.omp_set_num_threads(1)
        passing = int(np.count_nonzero(allowed))
        count = min(count, passing)
        if count <= 0:
            return np.empty(0, np.int32)
        if passing <= LOOKED_AT * count and (len(self._centres) or passing * LANES < len(allowed)):
            return self._of_each(query, popular, np.flatnonzero(allowed).astype(np.int32), count)
        asked = np.zeros((1, self._index.d), np.float32)
        asked[0, : len(query)] = query
        asked[0, len(query)] = popular
        # The selector reads `bits` without holding them: both live until the search is over.
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(bits)
        if len(self._centres):
            found = self._in_lists(asked, selector, allowed, count)
        else:
            _, found = self._index.search(asked, count, params=faiss.SearchParameters(sel=selector))
        items: Ints = found[0][found[0] >= 0].astype(np.int32)
        return items

    def _of_each(self, query: Floats, popular: float, items: Ints, count: int) -> Ints:
        """The best of these, each looked at."""
        scores = self._vectors[items] @ query + np.float32(popular) * self._popularity[items]
        if count < len(items):
            kept = np.argpartition(-scores, count - 1)[:count]
            items, scores = items[kept], scores[kept]
        found: Ints = items[np.argsort(-scores, kind="stable")]
        return found

    def _in_lists(self, asked: Floats, selector: faiss.IDSelector, allowed: Mask, count: int) -> Ints:
        passing = (
            np.bincount(self._list_of, weights=allowed[::SAMPLED], minlength=len(self._centres)) * SAMPLED
        )
        order = np.argsort(-(self._centres @ asked[0]))
        enough = int(np.searchsorted(np.cumsum(passing[order]), LOOKED_AT * count)) + 1
        for probes in (enough, len(order)):
            parameters = faiss.SearchParametersIVF(sel=selector, nprobe=probes)
            _, found = self._index.search(asked, count, params=parameters)
            if found[0, -1] >= 0:
                break
        items: Ints = found
        return items


def read_index(path: str) -> faiss.Index:
    """What `Near.stored` wrote; lists are mapped, a scan, which is small, is read.

    Raises:
        RuntimeError: it is no file of faiss's.
    """
    try:
        index = faiss.read_index(path, faiss.IO_FLAG_MMAP)
    except RuntimeError:
        return faiss.read_index(path)
    if isinstance(index, faiss.IndexIVF):
        lists = faiss.downcast_InvertedLists(index.invlists)
        if isinstance(lists, faiss.OnDiskInvertedLists):
            # Each search would start threads that read ahead what lies in memory.
            lists.prefetch_nthread = 0
    return index


def _made(vectors: Floats, popularity: Floats, scanned: int) -> faiss.Index:
    width = -(-(vectors.shape[1] + 1) // LANES) * LANES
    index = _scan(width) if len(vectors) <= scanned else _lists(width, len(vectors))
    wide = np.zeros((len(vectors), width), np.float32)
    wide[:, : vectors.shape[1]] = vectors
    wide[:, vectors.shape[1]] = popularity
    if len(wide):
        index.train(wide)
        index.add(wide)
    return index


def _lists_of(index: faiss.IndexIVF) -> Ints:
    """int32[items]: the list that each item lies in."""
    found = np.empty(index.ntotal, np.int32)
    for number in range(index.nlist):
        if size := index.invlists.list_size(number):
            found[faiss.rev_swig_ptr(index.invlists.get_ids(number), size)] = number
    return found


def _scan(width: int) -> faiss.Index:
    return faiss.IndexScalarQuantizer(width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def _lists(width: int, items: int) -> faiss.IndexIVF:
    """About as many lists as half again the root of the items."""
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(width),
        width,
        int(1.5 * items**0.5),
        faiss.ScalarQuantizer.QT_fp16,
        faiss.METRIC_INNER_PRODUCT,
        False,  # what is kept is a vector, not what it differs from its centre by
    )
    index.cp.niter, index.cp.max_points_per_centroid = ROUNDS, LEARNED_FROM
    return index
