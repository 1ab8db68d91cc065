"""VMIS-kNN, session kNN as Serenade serves it (Kersbergen et al. 2022, doi:10.1145/3514221.3517901).

Of the newest `sample` sessions of each item of the evolving session, the `neighbours` with the greatest decayed overlap
vote for their items, weighed by how late in the evolving session they agree with it, and by the items' idf. A repeated item
counts once, at its newest place. Unlike Serenade's, the sample is of each item, not of all together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.baselines.item_knn import basket_matrix
from models.baselines.popularity import filled
from models.evaluation.cases import NO_ITEM, Cases, Floats, Interactions, Ints, Longs
from models.evaluation.metrics import Doubles
from models.evaluation.ranking import Score


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """The sessions' items, and of each item its newest sessions: `sessions[starts[i]:starts[i + 1]]`."""

    baskets: sparse.csr_matrix
    sessions: Ints
    starts: Longs
    idf: Floats


def session_index(train: Interactions, items: int, sample: int) -> SessionIndex:
    """Index the training sessions, the newest `sample` of each item."""
    baskets = basket_matrix(train, items).astype(np.float32).tocsr()
    by_item = baskets.tocsc()
    by_item.sort_indices()
    counts = np.diff(by_item.indptr)
    kept = np.arange(by_item.nnz) >= np.repeat(by_item.indptr[1:] - sample, counts)
    starts = np.concatenate([[0], np.cumsum(np.minimum(counts, sample))]).astype(np.int64)
    idf = np.log(baskets.shape[0] / np.maximum(counts, 1)).astype(np.float32)
    return SessionIndex(baskets, by_item.indices[kept].astype(np.int32), starts, idf)


def score_sessions(
    index: SessionIndex,
    counts: Floats,
    neighbours: int,
    slots: int,
    idf_weight: float = 1.0,
    *,
    repeats: bool = True,
) -> Score[Cases]:
    """Votes of the nearest sessions; what none votes for follows by popularity.

    Args:
        slots: how many of the newest items are looked at.
        idf_weight: exponent of the items' idf; 0 leaves it out.
        repeats: whether the newest item may be voted for (Serenade leaves it out).
    """
    voted = (index.baskets @ sparse.diags(index.idf**idf_weight)).tocsr()

    def score(cases: Cases) -> Floats:
        rows, sessions, weights = _nearest_sessions(index, cases.positions[:, :slots], neighbours)
        chosen = sparse.csr_matrix((weights, (rows, sessions)), (len(cases), index.baskets.shape[0]))
        votes = (chosen @ voted).toarray().astype(np.float32)
        if not repeats:
            newest = cases.positions[:, 0]
            there = np.flatnonzero(newest >= 0)
            votes[there, newest[there]] = 0
        return filled(votes, counts)

    return score


def _nearest_sessions(index: SessionIndex, positions: Ints, neighbours: int) -> tuple[Longs, Longs, Floats]:
    """Rows, sessions and votes: similarity x the weight of the newest agreement."""
    positions = _once(positions)
    lengths = (positions >= 0).sum(axis=1)
    row, slot = np.nonzero(positions >= 0)
    # As in VMIS: the n-th item of an evolving session of l items counts n / l, the newest 1.
    decayed = (lengths[row] - slot) / lengths[row]
    items = positions[row, slot]
    counts = index.starts[items + 1] - index.starts[items]
    places = np.repeat(index.starts[items] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    sessions = index.sessions[places + np.arange(counts.sum())].astype(np.int64)
    rows, decay, newest = np.repeat(row, counts), np.repeat(decayed, counts), np.repeat(slot, counts)
    pair = rows.astype(np.int64) * index.baskets.shape[0] + sessions
    order = np.argsort(pair, kind="stable")
    pair, decay, newest = pair[order], decay[order], newest[order]
    firsts = np.flatnonzero(np.diff(pair, prepend=-1))
    if not len(firsts):
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, np.zeros(0, np.float32)
    similarity = np.add.reduceat(decay, firsts)
    agreement = np.maximum(1 - 0.1 * np.minimum.reduceat(newest + 1, firsts), 0)
    rows, sessions = np.divmod(pair[firsts], index.baskets.shape[0])
    best = _first_of_each(rows, similarity, sessions, neighbours)
    return rows[best], sessions[best], (similarity * agreement)[best].astype(np.float32)


def _once(positions: Ints) -> Ints:
    """The same slots with each item at its newest place alone, moved up; -1 beyond them."""
    found = positions.copy()
    for slot in range(1, positions.shape[1]):
        again = (positions[:, :slot] == positions[:, slot, None]).any(axis=1)
        found[again, slot] = NO_ITEM
    order = np.argsort(found == NO_ITEM, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def _first_of_each(rows: Longs, similarity: Doubles, sessions: Longs, count: int) -> Longs:
    """Places of the `count` most similar sessions of each row, the newer of equals."""
    order = np.lexsort((-sessions, -similarity, rows))
    ordered = rows[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    within = np.arange(len(ordered)) - np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    found: Longs = order[within < count]
    return found
