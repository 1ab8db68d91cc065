"""The figures of random rankings are those of ranx."""

from __future__ import annotations

import numpy as np
import pytest
from ranx import Qrels, Run, evaluate

from models.evaluation.cases import NextItem, Ragged
from models.evaluation.ranking import rank

CASES, ITEMS = 60, 40
# What ranx compiles.
pytestmark = pytest.mark.filterwarnings("ignore::numba.core.errors.NumbaTypeSafetyWarning")


def test_recall_ndcg_and_mrr_are_those_of_ranx():
    chance = np.random.default_rng(5)
    scores = chance.permuted(np.tile(np.arange(ITEMS, dtype=np.float32), (CASES, 1)), axis=1)
    labels = chance.integers(0, ITEMS, CASES).astype(np.int32)
    cases = NextItem(Ragged.of([[0]] * CASES), labels, np.arange(CASES, dtype=np.int32), masks_history=False)
    ours = rank(lambda asked: scores, cases)
    qrels = Qrels({f"q{n}": {f"i{label}": 1} for n, label in enumerate(labels)})
    run = Run({f"q{n}": {f"i{i}": float(s) for i, s in enumerate(row)} for n, row in enumerate(scores)})
    theirs = evaluate(qrels, run, ["hit_rate@10", "ndcg@10", "mrr@20"])
    found = {
        "hit_rate@10": ours.recall(10).mean(),
        "ndcg@10": ours.ndcg(10).mean(),
        "mrr@20": ours.reciprocal(20).mean(),
    }
    assert found == pytest.approx(theirs)
