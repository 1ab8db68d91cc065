"""What the query tower reads of a shopper: 50 slots of item vectors, newest first, session before user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SESSION_SLOTS = 20
USER_SLOTS = 30
SLOTS = SESSION_SLOTS + USER_SLOTS
EMPTY, SESSION_KIND, USER_KIND = 0, 1, 2
NO_ITEM = -1

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


def slots(
    session_items: Iterable[str], user_items: Iterable[str], index: Mapping[str, int]
) -> tuple[Ints, Ints]:
    """Positions int32[50] in `index` and kinds int32[50] of a shopper's items, both lists newest first.

    Items that `index` does not know are left out; empty slots have position -1 and kind 0.
    """
    session = _known(session_items, index, SESSION_SLOTS)
    user = _known(user_items, index, USER_SLOTS)
    positions = np.full(SLOTS, NO_ITEM, np.int32)
    kinds = np.zeros(SLOTS, np.int32)
    end = len(session) + len(user)
    positions[:end] = session + user
    kinds[: len(session)] = SESSION_KIND
    kinds[len(session) : end] = USER_KIND
    return positions, kinds


def gather(vectors: Floats, positions: npt.NDArray[Any]) -> Floats:
    """The vectors [1, 50, dim] of the slots, zeros where a slot is empty."""
    found: Floats = vectors[np.maximum(positions, 0)] * (positions >= 0)[:, None].astype(np.float32)
    return found[None]


def recency(count: int) -> Floats:
    """What item-kNN weighs the filled slots by, newest first: 1, 1/2, 1/3, …"""
    return (1 / np.arange(1, count + 1)).astype(np.float32)


def _known(items: Iterable[str], index: Mapping[str, int], limit: int) -> list[int]:
    return [index[item] for item in items if item in index][:limit]
