"""A ranking's figures as reports and the model registry hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.evaluation.cases import Floats, Ints, Mask
from models.evaluation.intervals import interval, where
from models.evaluation.metrics import Ranking


def figures_of(ranking: Ranking, counts: Floats) -> dict[str, float]:
    """Means over all cases; `counts` are the training events of each item."""
    return {
        "recall_at_10": float(ranking.recall(10).mean()),
        "recall_at_20": float(ranking.recall(20).mean()),
        "recall_at_500": float(ranking.recall(500).mean()),
        "ndcg_at_10": float(ranking.ndcg(10).mean()),
        "ndcg_at_20": float(ranking.ndcg(20).mean()),
        "mrr_at_20": float(ranking.reciprocal(20).mean()),
        "coverage_at_20": ranking.coverage(len(counts)),
        "novelty_at_20": ranking.novelty(counts),
        "popularity_bias_at_20": ranking.popularity_bias(counts),
    }


def recall_by_slice(
    ranking: Ranking, shoppers: Ints, slices: Mapping[str, Mask], k: int = 20
) -> dict[str, dict[str, Any]]:
    """Recall with its interval of all cases and of each slice that has any."""
    hits = ranking.recall(k)
    found = {"all": {"cases": len(hits), **interval(hits, shoppers).as_dict()}}
    for name, mask in slices.items():
        told = where(hits, shoppers, mask)
        if told is not None:
            found[name] = {"cases": int(mask.sum()), **told.as_dict()}
    return found
