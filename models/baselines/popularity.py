"""The same items for everyone: what was taken most, lately."""

from __future__ import annotations

import numpy as np

from models.evaluation.cases import Cases, Floats, Interactions
from models.evaluation.ranking import Score

POPULAR_DAYS = 30


def popularity(train: Interactions, items: int, days: int = POPULAR_DAYS) -> Floats:
    """float32[items]: how often each was taken in the last `days` days of the training rows."""
    first = train.days.max() - (days - 1)
    return train.where(train.days >= first).counts(items)


def score_popularity(counts: Floats) -> Score[Cases]:
    """The same scores for every case."""
    return lambda cases: np.broadcast_to(counts, (len(cases), len(counts)))


def filled(scores: Floats, counts: Floats) -> Floats:
    """Items that nothing speaks for (no score above 0) follow by popularity, as in serving."""
    fill = (counts - counts.max() - 1) / (counts.max() + 1)
    return np.where(scores > 0, scores, fill[None, :]).astype(np.float32)
