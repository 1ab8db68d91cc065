"""What the shopper had last comes again: repurchase, and the view before an addition to the cart."""

from __future__ import annotations

import numpy as np

from models.baselines.item_knn import slot_weights
from models.baselines.popularity import filled
from models.evaluation.cases import Cases, Floats
from models.evaluation.ranking import Score


def score_recent(counts: Floats) -> Score[Cases]:
    """The items of the slots, the newest first; the others by popularity."""

    def score(cases: Cases) -> Floats:
        return filled(np.asarray(slot_weights(cases.positions, len(counts)).toarray(), np.float32), counts)

    return score
