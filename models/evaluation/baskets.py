"""Next basket: what a session's whole basket will be, asked at its start."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.evaluation.cases import Ints
from models.evaluation.intervals import Interval, interval, paired_difference
from models.evaluation.metrics import Doubles
from models.evaluation.ranking import Score, rank
from models.examples import Examples

K = 20


@dataclass(frozen=True, slots=True)
class Shares:
    """Of each basket float64[n] the share of its items among the first 20, and whose it is, int32[n]."""

    values: Doubles
    shoppers: Ints


def basket_shares(score: Score[Examples], baskets: Examples) -> Shares:
    """Rank every item of each basket among the whole catalog."""
    hits = rank(score, baskets).recall(K)
    numbers, firsts, of_row = np.unique(baskets.sessions, return_index=True, return_inverse=True)
    shares: Doubles = np.bincount(of_row, hits, len(numbers)) / np.bincount(of_row, minlength=len(numbers))
    return Shares(shares, baskets.shoppers[firsts])


def told_of(shares: Shares) -> dict[str, Any]:
    """Recall@20 of the next basket with its interval: the mean share over baskets."""
    told = interval(shares.values, shares.shoppers)
    return {"basket_recall20": round(told.mean, 5), "basket_recall20_interval": told.as_dict()}


def basket_difference(ours: Shares, theirs: Shares) -> Interval:
    """Of the same baskets."""
    return paired_difference(ours.values, theirs.values, ours.shoppers)


def at_session_start(examples: Examples) -> Examples:
    """Each session's different items, asked with what was known before its first one."""
    _, firsts = np.unique(examples.sessions, return_index=True)
    first_of = np.zeros(int(examples.sessions.max(initial=-1)) + 1, np.int64)
    first_of[examples.sessions[firsts]] = firsts
    pairs = examples.sessions.astype(np.int64) * (int(examples.labels.max(initial=0)) + 1) + examples.labels
    once = examples.where(np.sort(np.unique(pairs, return_index=True)[1]))
    start = examples.where(first_of[once.sessions])
    return replace(start, labels=once.labels, sessions=once.sessions, shoppers=once.shoppers, days=once.days)
