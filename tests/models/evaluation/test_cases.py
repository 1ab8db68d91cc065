"""Ragged rows, cases and intervals, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation.cases import Interactions, NextItem, Ragged, chunks
from models.evaluation.intervals import interval, paired_difference
from models.evaluation.ranking import masked, rank
from models.evaluation.slices import distinct, slices_of

ROWS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


def lists(ragged: Ragged) -> list[list[int]]:
    return [ragged.values[a:b].tolist() for a, b in zip(ragged.offsets[:-1], ragged.offsets[1:], strict=True)]


@given(ROWS, st.integers(0, 3), st.data())
def test_ragged_rows_do_what_lists_do(rows: list[list[int]], number: int, data: st.DataObject):
    ragged = Ragged.of(rows)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))), bool)
    assert lists(ragged) == rows
    assert lists(ragged.where(kept)) == [row for row, keep in zip(rows, kept, strict=True) if keep]
    assert lists(ragged.until(number)) == [row[: max(len(row) - number, 0)] for row in rows]
    assert ragged.newest(4).tolist() == [(row[::-1] + [-1] * 4)[:4] for row in rows]
    assert ragged.from_end(number + 1).tolist() == [
        row[-number - 1] if len(row) > number else -1 for row in rows
    ]
    prefixes, labels, of_row = ragged.prefixes()
    asked = [(n, row[:end], row[end]) for n, row in enumerate(rows) for end in range(1, len(row))]
    assert list(zip(of_row.tolist(), lists(prefixes), labels.tolist(), strict=True)) == asked


def test_an_item_in_two_slots_is_one_item_of_its_slice():
    slots = np.array([[4, 2, 4, 2], [0, 1, 2, 3], [-1, -1, -1, -1], [3, -1, -1, -1]], np.int32)
    assert distinct(slots).tolist() == [2, 4, 0, 1]
    cases = NextItem(
        Ragged.of([[2, 4, 2, 4], [3, 2, 1, 0], [], [3]]),
        np.array([0, 1, 3, 4], np.int32),
        np.arange(4, dtype=np.int32),
        masks_history=False,
    )
    # 50 + 30 of 100 events are the first 80 %: items 2, 3 and the never taken 4 are beyond them.
    counts = np.array([50, 30, 15, 5, 0], np.float32)
    found = slices_of(cases, counts, np.array([True, True, False, False]))
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "no_history": [False, False, True, False],
        "at_most_three_items": [True, False, False, True],
        "new_shopper": [False, False, True, True],
        "returning_shopper": [True, True, False, False],
        "new_item": [False, False, False, True],
        "tail_item": [False, False, True, True],
    }


def test_what_was_had_is_masked_but_for_the_label():
    cases = NextItem(
        Ragged.of([[1, 2], [0, 1]]), np.array([2, 2], np.int32), np.arange(2, dtype=np.int32), True
    )
    scores = masked(np.array([[1, 2, 3]] * 2, np.float32), cases)
    assert scores.tolist() == [[1, -np.inf, 3], [-np.inf, -np.inf, 3]]


def test_cases_come_in_chunks_and_rank_as_one():
    count = 2500
    cases = NextItem(
        Ragged.of([[n % 3] for n in range(count)]),
        np.zeros(count, np.int32),
        np.arange(count, dtype=np.int32),
        False,
    )
    assert [len(chunk) for chunk in chunks(cases, 1024)] == [1024, 1024, 452]
    # The last item is worth its number: items 0, 1, 2 stand before item 0 as often as they were the last.
    ranking = rank(lambda asked: np.eye(4, dtype=np.float32)[asked.positions[:, 0]], cases)
    assert ranking.ranks[:6].tolist() == [1, 2, 2, 1, 2, 2]


def test_an_interval_draws_shoppers_not_cases():
    # One shopper has 99 hits, 99 others a miss each: drawn by case the mean .5 would be known to ±.07.
    values = np.array([1.0] * 99 + [0.0] * 99)
    one = interval(values, np.array([0] * 99 + list(range(1, 100)), np.int32))
    each = interval(values, np.arange(198, dtype=np.int32))
    assert one.mean == each.mean == 0.5
    assert (one.low, each.low) == (0.0, pytest.approx(0.43, abs=0.02))
    assert one.high > 0.7


def test_a_paired_difference_is_narrower_than_the_means():
    chance = np.random.default_rng(1)
    hard = chance.random(2000)
    theirs = (hard < 0.5).astype(float)
    ours = (hard < 0.52).astype(float)
    shoppers = np.arange(2000, dtype=np.int32)
    difference = paired_difference(ours, theirs, shoppers)
    assert difference.low > 0
    assert interval(ours, shoppers).low < interval(theirs, shoppers).high


def test_a_shopper_alone_tells_nothing_of_others():
    alone = interval(np.array([1.0, 0.0]), np.array([3, 3], np.int32))
    assert (alone.mean, alone.low, alone.high) == (0.5, -np.inf, np.inf)
    with pytest.raises(ValueError, match="at least one case"):
        interval(np.zeros(0), np.zeros(0, np.int32))


def test_sequences_are_interactions():
    found = Interactions.of(Ragged.of([[4, 2], [], [2]]))
    assert (found.sessions.tolist(), found.items.tolist()) == ([0, 0, 2], [4, 2, 2])
    assert found.counts(5).tolist() == [0, 0, 2, 0, 1]
