"""The blend by hand, and that a shopper's weight grows with what is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.decide.blend import Blend, logarithmic, neighbour_sums, parts, total
from models.decide.query import SLOTS
from models.decide.scored import NOTHING, Scored

BLEND = Blend(popular=0.6, fading=1.0, again=0.5, yielding=1.0, together=0.2)
POPULAR = np.array([1.0, 0.5, 0.0, 0.0], np.float32)
NOBODY = np.zeros(4, np.float32)
ALL = np.arange(4, dtype=np.int32)


def scored(*arrays, **more):
    return total(parts(*arrays, **more))


def slots(*filled: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    positions, kinds = np.full(SLOTS, -1, np.int32), np.zeros(SLOTS, np.int32)
    for slot, (item, kind) in enumerate(filled):
        positions[slot], kinds[slot] = item, kind
    return positions, kinds


def test_each_part_counts_as_declared():
    similar = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    together = Scored(np.array([1, 2], np.int32), np.array([4.0, 2.0], np.float32))
    scores = scored(
        ALL,
        similar,
        *slots((3, 1), (2, 2), (3, 2)),
        popularity=POPULAR,
        together=together,
        voted=NOTHING,
        blend=BLEND,
    )
    # 3 slots, 1 of the session: popularity counts 0.6 / 4, again 0.5 / 2 at 1/sqrt(slot), together 0.2 of the greatest.
    assert scores == pytest.approx(
        [0.1 + 0.15, 0.2 + 0.075 + 0.2, 0.3 + 0.1 + 0.25 / 2**0.5, 0.4 + 0.25 + 0.25 / 3**0.5]
    )
    assert similar.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])  # the caller's scores stay


def test_of_nothing_popularity_is_left_and_it_fades_with_every_item():
    assert scored(
        ALL, NOBODY, *slots(), popularity=POPULAR, together=NOTHING, voted=NOTHING, blend=BLEND
    ).tolist() == pytest.approx([0.6, 0.3, 0, 0])
    weights = []
    for known in range(6):
        of_slots = slots(*[(3, 1)] * known)
        weights.append(
            float(
                scored(
                    ALL, NOBODY, *of_slots, popularity=POPULAR, together=NOTHING, voted=NOTHING, blend=BLEND
                )[0]
            )
        )
    assert weights == pytest.approx([0.6 / (1 + known) for known in range(6)])


def test_what_lies_before_the_eyes_steps_back_and_visits_like_this_one_speak():
    voted = Scored(np.array([1, 2], np.int32), np.array([6.0, 3.0], np.float32))
    blend = Blend(popular=0.0, fading=0.0, again=0.0, yielding=0.0, together=0.0, voted=0.5, shown=0.7)
    of_session, of_user = (
        scored(
            ALL,
            NOBODY,
            *slots((3, kind), (2, 2)),
            popularity=POPULAR,
            together=NOTHING,
            voted=voted,
            blend=blend,
        )
        for kind in (1, 2)
    )
    # Item 3 is this visit's newest: -0.7; votes count 0.5 of the greatest. Met before it, it is not before the eyes.
    assert of_session == pytest.approx([0, 0.5, 0.25, -0.7])
    assert of_user == pytest.approx([0, 0.5, 0.25, 0])


def test_popularity_is_logarithmic_between_0_and_1():
    assert logarithmic(np.array([0.0, 9.0, 99.0], np.float32)) == pytest.approx([0, 0.5, 1])
    assert logarithmic(np.zeros(2, np.float32)).tolist() == [0, 0]


def test_neighbours_are_summed_by_recency():
    neighbours = np.array([[1, 2], [2, -1], [-1, -1]], np.int32)
    scores = np.array([[0.8, 0.4], [0.6, 0.0], [0.0, 0.0]], np.float32)
    # Item 0 is the newest, item 1 counts a half.
    found = neighbour_sums(neighbours, scores, np.array([0, 1], np.int32))
    assert found.spread(3) == pytest.approx([0, 0.8, 0.4 + 0.3])
