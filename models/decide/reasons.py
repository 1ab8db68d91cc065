"""Why an item is recommended, in words for the shopper: the item of the history that speaks most for it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from models.decide.query import CARTED_KIND, SESSION_KIND, recency
from models.decide.snapshot import Snapshot

Explain = Callable[[int], list[str]]
Ints = npt.NDArray[np.int32]


def explain_with(reason: str) -> Explain:
    """The same reason for every item."""
    return lambda _item: [reason]


def explain_by_vectors(snapshot: Snapshot, history: Ints, kinds: Ints) -> Explain:
    """Names the history item (positions, newest first) whose vector is nearest to the recommended one's."""
    vectors = snapshot.vectors[history]

    def explain(item: int) -> list[str]:
        nearest = int(np.argmax(vectors @ snapshot.vectors[item]))
        return [_because(snapshot, int(history[nearest]), int(kinds[nearest]), item)]

    return explain


def explain_by_neighbours(snapshot: Snapshot, history: Ints, kinds: Ints) -> Explain:
    """Names the history item (positions, newest first) that gives the recommended one the greatest score."""

    def explain(item: int) -> list[str]:
        given = np.where(snapshot.neighbours[history] == item, snapshot.scores[history], 0).sum(axis=1)
        strongest = int(np.argmax(given * recency(len(history))))
        return [_because(snapshot, int(history[strongest]), int(kinds[strongest]), item)]

    return explain


def _because(snapshot: Snapshot, position: int, kind: int, item: int) -> str:
    title = "it" if position == item else snapshot.titles[position]
    if kind == CARTED_KIND:
        return f"because you added {title}"
    if kind == SESSION_KIND:
        return f"because you looked at {title}"
    return f"because you chose {title} before"
