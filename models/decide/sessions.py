"""Session kNN for one visit (VMIS-kNN, Kersbergen et al. 2022, doi:10.1145/3514221.3517901): the votes of past visits like it.

Of the newest `sample` visits of each of its newest items, the `neighbours` with the greatest overlap, newer items counting more,
vote for their items, weighed by how late in this visit they agree with it and by the items' idf.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.decide.scored import NOTHING, Floats, Ints, Scored, summed

Longs = npt.NDArray[np.int64]
SAMPLE = 500
NEIGHBOURS = 300
NEWEST = 4


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """Past visits both ways, numbered by time.

    Attributes:
        items: int32, each visit's items one after the other: those of visit s are `items[item_starts[s]:item_starts[s + 1]]`.
        visits: int32, each item's newest visits likewise, by `visit_starts` int64[items + 1].
        idf: float32[items].
    """

    items: Ints
    item_starts: Longs
    visits: Ints
    visit_starts: Longs
    idf: Floats


def session_index(visits: Ints, items: Ints, catalog: int) -> SessionIndex:
    """Index the visits' items: int32[n] each, a later visit's number the greater; `catalog` is the number of items."""
    pairs = np.unique(visits.astype(np.int64) * max(catalog, 1) + items)
    named, rows = np.divmod(pairs, max(catalog, 1))
    known, numbers = np.unique(named, return_inverse=True)
    order = np.lexsort((numbers, rows))
    counts = np.bincount(rows, minlength=catalog)
    ends = np.cumsum(counts)
    kept = np.arange(len(pairs)) >= np.repeat(ends - SAMPLE, counts)
    return SessionIndex(
        items=rows.astype(np.int32),
        item_starts=np.searchsorted(numbers, np.arange(len(known) + 1)).astype(np.int64),
        visits=numbers[order][kept].astype(np.int32),
        visit_starts=np.concatenate([[0], np.cumsum(np.minimum(counts, SAMPLE))]).astype(np.int64),
        idf=np.log(max(len(known), 1) / np.maximum(counts, 1)).astype(np.float32),
    )


def no_sessions(catalog: int) -> SessionIndex:
    """Of a shop that has seen none."""
    return session_index(np.empty(0, np.int32), np.empty(0, np.int32), catalog)


def moved(index: SessionIndex, row_of: Ints, catalog: int) -> SessionIndex:
    """The same visits in the rows of another catalog; `row_of` int32[items] is -1 for an item that it lacks."""
    visits = np.repeat(np.arange(len(index.item_starts) - 1, dtype=np.int32), np.diff(index.item_starts))
    rows = row_of[index.items]
    return session_index(visits[rows >= 0], rows[rows >= 0], catalog)


def votes(index: SessionIndex, newest: Ints) -> Scored:
    """The votes for each item that a visit speaks for.

    Args:
        newest: the visit's known items, rows of the catalog, newest first.
    """
    of = np.array(list(dict.fromkeys(newest.tolist()))[:NEWEST], np.int64)
    visits = [index.visits[index.visit_starts[item] : index.visit_starts[item + 1]] for item in of]
    slot = np.repeat(np.arange(len(of)), [len(some) for some in visits])
    if not len(slot):
        return NOTHING
    found, of_visit = np.unique(np.concatenate(visits), return_inverse=True)
    # The n-th newest of l items counts n / l, the newest 1.
    similarity = np.bincount(of_visit, (len(of) - slot) / len(of))
    agreed = np.full(len(found), len(of))
    np.minimum.at(agreed, of_visit, slot)
    best = np.lexsort((-found, -similarity))[:NEIGHBOURS]
    weights = similarity[best] * np.maximum(1 - 0.1 * (agreed[best] + 1), 0)
    starts = index.item_starts[found[best]]
    lengths = index.item_starts[found[best] + 1] - starts
    places = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    items = index.items[places + np.arange(lengths.sum())]
    found_votes = summed(items, np.repeat(weights, lengths))
    return Scored(found_votes.items, found_votes.scores * index.idf[found_votes.items])
