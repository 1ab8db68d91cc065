"""The items that answer a query best, among those that a filter lets pass: exact, in one scan.

What everybody takes is a dimension of its own beside the vector's, so that the scan ranks by q · v(i) + w p(i), the two parts of the blend
that speak of every item. Vectors are kept as halves (faiss): a candidate's score is worked out again from whole ones, so that only
who is among the last of the candidates hangs on the rounding.
"""

from __future__ import annotations

import faiss
import numpy as np

from models.decide.scored import Floats, Ints, Mask

LANES = 8
"""Numbers that one instruction takes: a vector is filled up to a multiple of it."""


class Near:
    """Scans float32[items, dim] `vectors` with float32[items] `popularity` beside them."""

    def __init__(self, vectors: Floats, popularity: Floats) -> None:
        if vectors.shape[:1] != popularity.shape:
            raise ValueError(f"{len(vectors)} vectors, but the popularity of {len(popularity)} items")
        # One request is one thread's work: threads of a scan would fight with other requests.
        faiss.omp_set_num_threads(1)
        self._dim = vectors.shape[1]
        wide = np.zeros((len(vectors), -(-(self._dim + 1) // LANES) * LANES), np.float32)
        wide[:, : self._dim] = vectors
        wide[:, self._dim] = popularity
        self._scan = faiss.IndexScalarQuantizer(
            wide.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        if len(wide):
            self._scan.train(wide[:1])
            self._scan.add(wide)

    @property
    def bytes(self) -> int:
        """What the scan keeps in memory."""
        return int(self._scan.ntotal * self._scan.sa_code_size())

    def best(self, query: Floats, popular: float, allowed: Mask, count: int) -> Ints:
        """int32[≤ count]: the allowed items with the greatest `query` · vector + `popular` × popularity, greatest first.

        Args:
            query: float32[dim].
            allowed: bool[items].
        """
        asked = np.zeros((1, self._scan.d), np.float32)
        asked[0, : self._dim] = query
        asked[0, self._dim] = popular
        bits = np.packbits(allowed, bitorder="little")
        # The selector reads `bits` without holding them: both live until the scan is over.
        passing = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
        _, found = self._scan.search(asked, max(1, min(count, len(allowed))), params=passing)
        items: Ints = found[0][found[0] >= 0].astype(np.int32)
        return items[:count]
