"""What shoppers take this hour beyond what they always do: a rush is known minutes after it began, not tomorrow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.decide.scored import NOTHING, Floats, Scored

LEAST = 5
"""Additions to the cart within the hour below which nothing is said; not below the events that a window has to have (`View.least_events`)."""
USUAL = 4.0
"""Times an item's mean hour of 30 days that its busy hours have: what is not beyond them is no rush."""
HOURS = 30 * 24
LISTED = 200


def trending(additions: Mapping[str, int], index: Mapping[str, int], popularity: Floats) -> Scored:
    """Rows that ascend, of the greatest rushes, and of each the logarithm of what is beyond the usual, 1 for the most.

    Args:
        additions: of this hour, by item; items that `index` lacks are left out.
        popularity: float32[items], additions of 30 days.
    """
    known = [(index[item], count) for item, count in additions.items() if item in index]
    if not known:
        return NOTHING
    rows, counts = np.array(sorted(known), np.int64).T
    beyond = counts - USUAL * popularity[rows] / HOURS
    rush = beyond >= LEAST
    if not rush.any():
        return NOTHING
    scores = np.log1p(beyond[rush]).astype(np.float32)
    best = Scored(rows[rush].astype(np.int32), scores / scores.max()).best(LISTED)
    order = np.argsort(best.items)
    return Scored(best.items[order], best.scores[order])
