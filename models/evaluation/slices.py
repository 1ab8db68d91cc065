"""Kinds of cases that are looked at apart, so that a better mean hides no group that is served worse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.evaluation.cases import Cases, Floats, Ints, Longs, Mask

FIRST_ITEMS = 3
HEAD = 0.8


def slices_of(cases: Cases, counts: Floats, known: Mask) -> Mapping[str, Mask]:
    """Masks bool[n] by name.

    Args:
        counts: float32[items], how often each item was taken in training.
        known: bool[n], whether training had the case's shopper.
    """
    items = distinct(cases.positions)
    return {
        "no_history": items == 0,
        "at_most_three_items": (items > 0) & (items <= FIRST_ITEMS),
        "new_shopper": ~known,
        "returning_shopper": known,
        "new_item": counts[cases.labels] == 0,
        "tail_item": tail_items(counts)[cases.labels],
    }


def distinct(positions: Ints) -> Longs:
    """int64[n]: how many different items the slots int32[n, slots] hold; an item may fill two, -1 is none."""
    ordered = np.sort(positions, axis=1)
    first = np.diff(ordered, axis=1, prepend=-1) != 0
    found: Longs = (first & (ordered >= 0)).sum(axis=1)
    return found


def tail_items(counts: Floats) -> Mask:
    """bool[items]: those beyond the most frequent ones that together make 80 % of the training events; never seen ones too."""
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    tail = np.ones(len(counts), bool)
    tail[order[before < HEAD * counts.sum()]] = False
    return tail
