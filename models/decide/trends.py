"""What shoppers take within this hour, of the stream's windows: a rush is known a minute after it began, not tomorrow.

An item counts from `LEAST` additions to the cart within the hour: an hour without a rush changes no order.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.decide.scored import NOTHING, Scored

LEAST = 5


def trending(additions: Mapping[str, int], index: Mapping[str, int]) -> Scored:
    """Rows that ascend, and of each the logarithm of its additions of this hour, 1 for the most: of those that `index` knows.

    Args:
        additions: by item; what has fewer than `LEAST` is no rush.
    """
    found = sorted(
        (index[item], count) for item, count in additions.items() if count >= LEAST and item in index
    )
    if not found:
        return NOTHING
    rows, counts = zip(*found, strict=True)
    logarithms = np.log1p(np.array(counts, np.float32))
    return Scored(np.array(rows, np.int32), logarithms / logarithms.max())
