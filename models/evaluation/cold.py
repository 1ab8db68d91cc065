"""Cold start: shoppers of whom little is known, and items that nobody has taken yet.

known      the same cases, of each only the newest n items left: ours beside popularity and item-kNN; of 0 items ours is popularity
context    of the request's hour and country alone: what the towers would say, beside popularity
search     some words of the wanted item's title, nothing else: ours beside the items that hold most of the words
interests  what a questionnaire would be told: the words that stand in most of the shopper's earlier items, nothing else
new_items  a tenth of the items never stands as a label in training: found by title and price alone, beside what the same
           towers find of them when they were trained on
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from models.baselines.popularity import popularity
from models.catalog import item_features
from models.decide.blend import SERVED, logarithmic
from models.decide.facts import OF_SESSION, OF_USER, without
from models.decide.query import EMPTY, NO_ITEM, USER_KIND
from models.decide.words import NO_WORD, WORD_BUCKETS, WORDS
from models.evaluation.cases import Floats, Ints
from models.evaluation.intervals import interval
from models.evaluation.methods import ITEM_KNN
from models.evaluation.protocol import sample
from models.evaluation.ranking import Score, rank
from models.evaluation.shop import Shop
from models.evaluation.shop_baselines import TRENDING, of_sessions
from models.evaluation.slices import distinct
from models.examples import Examples
from models.towers import TwoTower
from models.train import Fit, query_of
from models.training import fitted_towers, pipeline_of

Say = Callable[[str], None]
KNOWN = (0, 1, 2, 3, 5, 10)
ASKED = 5000
HELD_OUT = 0.1
SEARCHED = 2
LIKED = 5


def cold_section(shop: Shop, fit: Fit, say: Say) -> dict[str, Any]:
    """Fit, and ask with less than is known."""
    model, _ = fitted_towers(shop.catalog, shop.train, fit)
    ours = pipeline_of(model, shop.train).score
    return {
        "known": known_figures(shop, ours, say),
        "context": context_figures(shop, model, say),
        **word_figures(shop, ours, say),
        "new_items": new_item_figures(shop, ours, fit, say),
    }


def known_figures(shop: Shop, ours: Score[Examples], say: Say) -> list[dict[str, Any]]:
    """Recall@20 by how many items are known."""
    knn = of_sessions(ITEM_KNN)
    models = {
        "ours": ours,
        "item_knn": knn.fit(shop, knn.start),
        "popularity": TRENDING.fit(shop, TRENDING.start),
    }
    filled = distinct(shop.asked.positions[:, : KNOWN[-1]]) == KNOWN[-1]
    asked = sample(shop.asked.where(filled), ASKED, 0)
    found = []
    for count in KNOWN:
        cases = newest(asked, count)
        told = {name: _recall(score, cases) for name, score in models.items()}
        found.append({"items": count, "cases": len(cases), **told})
        say(f"cold start: {found[-1]}")
    return found


def context_figures(shop: Shop, model: TwoTower, say: Say) -> dict[str, Any]:
    """Recall@20 of what the request alone says, with popularity at the weight that it first serves with, and of popularity."""
    vectors = model.item_vectors().numpy()
    query, counts = query_of(model, vectors), popularity(shop.train.interactions(), shop.items)
    cases = newest(sample(shop.asked, ASKED, 0), 0)
    popular = np.float32(SERVED.popular) * logarithmic(counts)[None, :]
    by_context = _recall(lambda e: query(e) @ vectors.T + popular, cases)
    by_popularity = _recall(lambda e: np.repeat(counts[None, :], len(e), axis=0), cases)
    found = {"cases": len(cases), "towers": by_context, "popularity": by_popularity}
    say(f"cold start: context {found}")
    return found


def word_figures(shop: Shop, ours: Score[Examples], say: Say) -> dict[str, Any]:
    """Recall@20 of words alone, beside popularity and the items that hold most of the words."""
    words = item_features(shop.catalog, {}).words
    asked = sample(shop.asked, ASKED, 0)
    held = _held(words)
    counts = logarithmic(popularity(shop.train.interactions(), shop.items))
    chance = np.random.default_rng(0)
    users = np.where(asked.kinds == USER_KIND, asked.positions, NO_ITEM)
    found: dict[str, Any] = {}
    for name, said in (
        ("search", np.array([_some(words[label], chance) for label in asked.labels], np.int32)),
        ("interests", np.array([_liked(words[np.unique(row[row >= 0])]) for row in users], np.int32)),
    ):
        told = (said != NO_WORD).any(axis=1)
        cases = replace(newest(asked, 0), words=said).where(told)
        found[name] = {
            "cases": len(cases),
            "ours": _recall(ours, cases),
            "most_words": _recall(lambda e: _held(e.words) @ held.T.toarray() + 0.5 * counts[None, :], cases),
            "popularity": _recall(lambda e: np.repeat(counts[None, :], len(e), axis=0), cases),
        }
        say(f"cold start: {name} {found[name]}")
    return found


def new_item_figures(shop: Shop, ours: Score[Examples], fit: Fit, say: Say) -> dict[str, Any]:
    """Recall of held-out items by content, and of the same by towers that were trained on them."""
    taken = np.unique(shop.train.labels)
    held = np.random.default_rng(0).choice(taken, max(1, int(len(taken) * HELD_OUT)), replace=False)
    asked = shop.asked.where(np.isin(shop.asked.labels, held))
    train = shop.train.where(~np.isin(shop.train.labels, held))
    model, _ = fitted_towers(shop.catalog, train, fit)
    by_content = rank(pipeline_of(model, train).score, asked)
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
    """The same cases, of each the newest `count` items left and of the facts those of the request."""
    later = np.arange(examples.kinds.shape[1]) >= count
    return replace(
        examples,
        positions=np.where(later, NO_ITEM, examples.positions).astype(np.int32),
        kinds=np.where(later, EMPTY, examples.kinds).astype(np.int32),
        words=np.zeros_like(examples.words),
        facts=without(examples.facts, OF_SESSION, OF_USER),
    )


def _recall(score: Score[Examples], cases: Examples) -> float:
    return round(float(rank(score, cases).recall(20).mean()), 5)


def _held(words: Ints) -> sparse.csr_matrix:
    """Binary float32[n, buckets]: the words of each row."""
    row, place = np.nonzero(words != NO_WORD)
    found = sparse.csr_matrix(
        (np.ones(len(row), np.float32), (row, words[row, place])), (len(words), WORD_BUCKETS)
    )
    found.data[:] = 1
    return found


def _some(words: Ints, chance: np.random.Generator) -> Ints:
    """int32[16]: two of the words, as a shopper would type."""
    real = words[words != NO_WORD]
    return _filled(chance.choice(real, min(SEARCHED, len(real)), replace=False))


def _liked(words: Ints) -> Ints:
    """int32[16]: the words that stand in most of the items int32[n, 16], the smaller bucket of equals."""
    named, counts = np.unique(words[words != NO_WORD], return_counts=True)
    return _filled(named[np.lexsort((named, -counts))[:LIKED]])


def _filled(words: Ints | Floats) -> Ints:
    found = np.full(WORDS, NO_WORD, np.int32)
    found[: len(words)] = words
    return found
