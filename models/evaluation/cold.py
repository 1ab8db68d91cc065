"""Cold start: shoppers of whom little is known, and items that nobody has taken yet.

known      the same cases, of each only the newest n items left: ours beside popularity and item-kNN
new_items  a tenth of the items never stands as a label in training: found by title and price alone, beside what the same
           towers find of them when they were trained on
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from models.decide.query import EMPTY, NO_ITEM
from models.evaluation.intervals import interval
from models.evaluation.methods import ITEM_KNN
from models.evaluation.protocol import sample
from models.evaluation.ranking import Score, rank
from models.evaluation.search import Params
from models.evaluation.shop import Shop
from models.evaluation.shop_baselines import TRENDING, of_sessions
from models.evaluation.shop_methods import OURS
from models.examples import Examples

Say = Callable[[str], None]
KNOWN = (0, 1, 2, 3, 5, 10)
ASKED = 5000
HELD_OUT = 0.1


def cold_section(shop: Shop, params: Params, say: Say) -> dict[str, Any]:
    """Fit, and ask with less than is known."""
    ours = OURS.fit(shop, params)
    return {
        "known": known_figures(shop, ours, say),
        "new_items": new_item_figures(shop, ours, params, say),
    }


def known_figures(shop: Shop, ours: Score[Examples], say: Say) -> list[dict[str, Any]]:
    """Recall@20 by how many items are known."""
    knn = of_sessions(ITEM_KNN)
    models = {
        "ours": ours,
        "item_knn": knn.fit(shop, knn.start),
        "popularity": TRENDING.fit(shop, TRENDING.start),
    }
    filled = (shop.asked.kinds != EMPTY).sum(axis=1) >= KNOWN[-1]
    asked = sample(shop.asked.where(filled), ASKED, 0)
    found = []
    for count in KNOWN:
        cases = newest(asked, count)
        told = {name: round(float(rank(score, cases).recall(20).mean()), 5) for name, score in models.items()}
        found.append({"items": count, "cases": len(cases), **told})
        say(f"cold start: {found[-1]}")
    return found


def new_item_figures(shop: Shop, ours: Score[Examples], params: Params, say: Say) -> dict[str, Any]:
    """Recall of held-out items by content, and of the same by towers that were trained on them."""
    taken = np.unique(shop.train.labels)
    held = np.random.default_rng(0).choice(taken, max(1, int(len(taken) * HELD_OUT)), replace=False)
    asked = shop.asked.where(np.isin(shop.asked.labels, held))
    without = replace(shop, train=shop.train.where(~np.isin(shop.train.labels, held)))
    by_content = rank(OURS.fit(without, params), asked)
    with_history = rank(ours, asked)
    found = {
        "items": len(held),
        "cases": len(asked),
        "recall20": round(float(by_content.recall(20).mean()), 5),
        "recall20_interval": interval(by_content.recall(20), asked.shoppers).as_dict(),
        "recall_500": round(float(by_content.recall(500).mean()), 5),
        "trained_recall20": round(float(with_history.recall(20).mean()), 5),
        "chance_recall20": round(20 / shop.items, 5),
    }
    say(f"cold start: new items {found}")
    return found


def newest(examples: Examples, count: int) -> Examples:
    """The same cases, of each the newest `count` items left."""
    later = np.arange(examples.kinds.shape[1]) >= count
    return replace(
        examples,
        positions=np.where(later, NO_ITEM, examples.positions).astype(np.int32),
        kinds=np.where(later, EMPTY, examples.kinds).astype(np.int32),
    )
