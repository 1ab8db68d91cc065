"""What the query tower reads of a shopper: 80 slots of item vectors, session before user; words; and facts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

SESSION_SLOTS = 20
USER_SLOTS = 60
"""The newest 30, and the 30 that were put into the cart most often."""
SLOTS = SESSION_SLOTS + USER_SLOTS
EMPTY, SESSION_KIND, USER_KIND, CARTED_KIND = range(4)
"""Of a slot: nothing; looked at or chosen in this session; met before it; put into this session's cart."""
WORDS_KIND = 4
"""The towers' own, of the slot that holds the words."""
KINDS = 5
NO_ITEM = -1

Ints = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """One shopper at one moment.

    Attributes:
        positions: int32[80], the slots' rows of the catalog, -1 where one is empty; `kinds` int32[80] beside it.
        words: int32[16], buckets of what the shopper said in words (`decide.words`).
        facts: float32[FACTS] (`decide.facts`).
    """

    positions: Ints
    kinds: Ints
    words: Ints
    facts: Floats

    @property
    def is_empty(self) -> bool:
        """Whether neither an item nor a word is known."""
        return not (self.kinds.any() or self.words.any())


Query: TypeAlias = Callable[[Question], Floats]
"""The query tower's vector float32[64]."""


def slots(
    session_items: Iterable[str],
    carted: Collection[str],
    user_items: Iterable[str],
    index: Mapping[str, int],
) -> tuple[Ints, Ints]:
    """Positions int32[80] in `index` and kinds int32[80] of a shopper's items: the session's newest first, the user's as `met_before`.

    Items that `index` does not know are left out; empty slots have position -1 and kind 0.
    """
    session = _known(session_items, index, SESSION_SLOTS)
    user = _known(user_items, index, USER_SLOTS)
    positions = np.full(SLOTS, NO_ITEM, np.int32)
    kinds = np.zeros(SLOTS, np.int32)
    end = len(session) + len(user)
    positions[:end] = [index[item] for item in (*session, *user)]
    kinds[: len(session)] = [CARTED_KIND if item in carted else SESSION_KIND for item in session]
    kinds[len(session) : end] = USER_KIND
    return positions, kinds


def met_before(newest: Iterable[str] | None, most_often: Iterable[str] | None) -> list[str]:
    """What slots hold of the user: `user_last_items`, which reach back about one invoice, then `user_top_items_90d`."""
    return [*(newest or ()), *(most_often or ())]


def of_session(kinds: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which slots are of this session."""
    found: npt.NDArray[np.bool_] = (kinds == SESSION_KIND) | (kinds == CARTED_KIND)
    return found


def gather(vectors: Floats, positions: npt.NDArray[Any]) -> Floats:
    """The vectors [1, 80, dim] of the slots, zeros where a slot is empty."""
    found: Floats = vectors[np.maximum(positions, 0)] * (positions >= 0)[:, None].astype(np.float32)
    return found[None]


def recency(count: int) -> Floats:
    """What item-kNN weighs the filled slots by, newest first: 1, 1/2, 1/3, …"""
    return (1 / np.arange(1, count + 1)).astype(np.float32)


def _known(items: Iterable[str], index: Mapping[str, int], limit: int) -> list[str]:
    return [item for item in items if item in index][:limit]
