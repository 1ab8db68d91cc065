"""What each retriever says of the snapshot's items: scores, where they come from, and how each is explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.decide.blend import neighbour_sums
from models.decide.reasons import Explain, explain_with
from models.decide.snapshot import Snapshot

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]

FULL, STALE_SESSION, USER_EMBEDDING, CONTEXTUAL, POPULAR = range(5)
RUNGS = ("full", "stale_session", "user_embedding", "contextual", "popular")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Scores float32[items] (-inf: no candidate), their source and explanation, and the rung they stand on."""

    scores: Floats
    source: str
    explain: Explain
    level: int
    cause: str | None


def popular(snapshot: Snapshot, level: int, cause: str | None) -> Ranking:
    """What most shoppers take."""
    return Ranking(snapshot.popularity, RUNGS[POPULAR], explain_with("popular"), level, cause)


def contextual(snapshot: Snapshot, context: Sequence[str], cause: str | None) -> Ranking | None:
    """What is similar to the first item of the request's context that the snapshot can compare; None without one.

    By its neighbours where it has any (shoppers who met the one met the other), else by its vector.
    """
    for item in context:
        position = snapshot.index.get(item)
        scores = None if position is None else _similar(snapshot, position)
        if position is not None and scores is not None:
            explain = explain_with(f"similar to {snapshot.titles[position]}")
            return Ranking(scores, RUNGS[CONTEXTUAL], explain, CONTEXTUAL, cause)
    return None


def neighbour_scores(snapshot: Snapshot, positions: Ints) -> Floats:
    """float32[items]: each item's neighbour scores summed over `positions` (newest first); -inf where there is none."""
    summed = neighbour_sums(snapshot.neighbours, snapshot.scores, positions)
    return np.where(summed > 0, summed, np.float32(-np.inf))


def _similar(snapshot: Snapshot, position: int) -> Floats | None:
    """float32[items] of one item, itself no candidate; None where nothing is known of it."""
    scores = neighbour_scores(snapshot, np.array([position], np.int32))
    if not np.isfinite(scores).any() and len(snapshot.vectors) and snapshot.vectors[position].any():
        scores = snapshot.vectors @ snapshot.vectors[position]
    scores[position] = -np.inf
    return scores if np.isfinite(scores).any() else None
