"""Online Retail's two sections of the report: the searches on August, and what they chose in September.

September's section keeps a line for each opening of the test month: its commit and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from contracts.provenance import provenance
from contracts.settings import Settings
from models.errors import ModelsError
from models.evaluation.intervals import paired_difference
from models.evaluation.plan import SHOP, SHOP_TUNED
from models.evaluation.protocol import Asked, Tested, sample, summary, tuned_by, values_of
from models.evaluation.ranking import Score, rank
from models.evaluation.search import Budget, Params, tune
from models.evaluation.shop import (
    MEASURES,
    TESTED_TO,
    TUNED_TO,
    Shop,
    asked_of_shop,
    asked_without_session,
    basket_recall,
    read_shop,
    without_session,
)
from models.evaluation.shop_methods import BASELINES, OURS, ShopMethod
from models.evaluation.slices import slices_of
from models.examples import Examples

Say = Callable[[str], None]
WITHOUT_SESSION = "two_tower_without_session"
METHODS: Sequence[ShopMethod] = (OURS, *BASELINES)


def tuned_section(
    settings: Settings, budget: Budget, asked: int | None, say: Say, methods: Sequence[ShopMethod] = METHODS
) -> dict[str, Any]:
    """Search on August; the section holds each method's parameters and its figures there.

    Raises:
        ModelsError: the lake is not there.
    """
    shop = read_shop(settings, TUNED_TO)
    validation = sample(shop.asked, asked, 0)
    found = []
    for method in methods:

        def value_of(params: Params, method: ShopMethod = method) -> float:
            return tuned_by(MEASURES, rank(method.fit(shop, params), validation))

        tuned = tune(method, value_of, budget)
        found.append(_tested(shop, method, tuned.params, {"search": tuned.as_dict()}, say))
    return summary(asked_of_shop(shop), found)


def final_section(settings: Settings, report: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Fit what the searches chose on all days to the end of August, and rank September.

    Raises:
        ModelsError: nothing was searched, or the lake does not hold September.
    """
    chosen = chosen_of(report)
    openings = [
        *report.get(SHOP, {}).get("openings", ()),
        {name: provenance()[name] for name in ("commit", "made_at")},
    ]
    shop = read_shop(settings, TESTED_TO)
    found = [
        _tested(shop, method, chosen[method.name], {"params": chosen[method.name]}, say)
        for method in METHODS
        if method.name in chosen
    ]
    blind = _blind(shop, chosen[OURS.name], say)
    asked = asked_of_shop(shop)
    return {**summary(asked, [*found, blind]), **comparisons(asked, found, blind), "openings": openings}


def chosen_of(report: Mapping[str, Any]) -> dict[str, Params]:
    """What the searches on August chose, by method.

    Raises:
        ModelsError: there were none.
    """
    if SHOP_TUNED not in report:
        raise ModelsError("nothing was tuned: run `make evaluate` first (`--only online_retail`)")
    return {name: one["search"]["params"] for name, one in report[SHOP_TUNED].items() if "search" in one}


def comparisons(asked: Asked, found: Sequence[Tested], blind: Tested) -> dict[str, Any]:
    """What is promised of Online Retail: the first of `found` beside the best of the others, the tutorial's, and itself blind."""
    ours, baselines = found[0], {one.name: one for one in found[1:]}
    recall = {one.name: float(one.ranking.recall(20).mean()) for one in (*found, blind)}
    best = max(baselines, key=lambda name: recall[name])
    hits, theirs = ours.ranking.recall(20), baselines[best].ranking.recall(20)
    shoppers = asked.cases.shoppers
    slices = {}
    for name, mask in slices_of(asked.cases, asked.counts, asked.known).items():
        if mask.any():
            told = paired_difference(hits[mask], theirs[mask], shoppers[mask])
            slices[name] = {"cases": int(mask.sum()), "worse": bool(told.high < 0), **told.as_dict()}
    return {
        "best_baseline": best,
        "ratio_best_baseline": round(recall[ours.name] / recall[best], 4),
        "paired_difference": paired_difference(hits, theirs, shoppers).as_dict(),
        "ratio_tutorial": round(recall[ours.name] / recall["tutorial_two_tower"], 4),
        "ratio_in_session": round(recall[ours.name] / recall[blind.name], 4),
        "slices": slices,
    }


def _tested(shop: Shop, method: ShopMethod, params: Params, about: Mapping[str, Any], say: Say) -> Tested:
    began = time.perf_counter()
    score = method.fit(shop, params)
    seconds = round(time.perf_counter() - began, 1)
    return _ranked(shop, method.name, score, {**about, "fit_seconds": seconds}, say)


def _ranked(shop: Shop, name: str, score: Score[Examples], about: Mapping[str, Any], say: Say) -> Tested:
    found = Tested(name, rank(score, shop.asked), {**about, **basket_recall(score, shop.baskets)})
    told = ", ".join(
        f"{key} {values_of(found.ranking, measure).mean():.4f}" for key, measure in MEASURES.items()
    )
    say(f"{SHOP}: {name} {told}, basket_recall20 {found.about['basket_recall20']:.4f}")
    return found


def _blind(shop: Shop, params: Params, say: Say) -> Tested:
    """Ours trained and asked without a slot of the session: what yesterday's features alone reach."""
    daily = Shop(shop.catalog, without_session(shop.train), shop.asked, shop.baskets)
    return _ranked(shop, WITHOUT_SESSION, asked_without_session(OURS.fit(daily, params)), {}, say)
