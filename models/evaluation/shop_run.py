"""Online Retail's two sections of the report: the searches on August, and what they chose in September.

September's section keeps a line for each opening of the test month: its commit and time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from contracts.settings import Settings
from models.decide.blend import SERVED
from models.errors import ModelsError
from models.evaluation.baskets import Shares, basket_difference, basket_shares, told_of
from models.evaluation.blending import blend_of, blend_space
from models.evaluation.intervals import paired_difference
from models.evaluation.plan import SHOP, SHOP_TUNED
from models.evaluation.protocol import Asked, Tested, sample, summary, tuned_by, values_of
from models.evaluation.ranking import Score, rank
from models.evaluation.search import Budget, Params, tune
from models.evaluation.searches import BASELINES as BASELINE_CODE
from models.evaluation.searches import OURS as OWN_CODE
from models.evaluation.searches import Searches, named
from models.evaluation.shop import (
    MEASURES,
    TESTED_TO,
    TUNED_TO,
    Shop,
    asked_of_shop,
    asked_without_session,
    read_shop,
    without_session,
)
from models.evaluation.shop_baselines import BASELINES, ShopMethod
from models.evaluation.shop_methods import OURS, RIVALS, TOWERS, fit_model
from models.evaluation.slices import slices_of
from models.examples import Examples
from models.towers import TwoTower
from models.training import pipeline_of

Say = Callable[[str], None]
WITHOUT_SESSION = "ours_without_session"
AS_SERVED = "as_served"
TOWERS_SECONDS, TOWERS_TRIALS = 0.75, 0.5
"""Of a search the part of the towers; the rest is the blend's, of which a trial costs less."""
Hide = Callable[[Score[Examples]], Score[Examples]]


@dataclass(slots=True)
class Search:
    """One method's search: every trial's Recall@20 of the next item and of the next basket; their sum is what it maximizes.

    Ours is one model for both. Of a baseline the best trial for each is taken, so that none loses for being tuned on the other.
    """

    asked: Examples
    baskets: Examples
    trials: list[tuple[Params, float, float]] = field(default_factory=list)

    def of(
        self, method: ShopMethod, fit: Callable[[Params], Score[Examples]], budget: Budget
    ) -> dict[str, Any]:
        """Search, a blend from what serves as well; what the report tells of it."""

        def value_of(params: Params) -> float:
            score = fit(params)
            item = tuned_by(MEASURES, rank(score, self.asked))
            basket = float(basket_shares(score, self.baskets).values.mean())
            self.trials.append((params, item, basket))
            return item + basket

        also = [asdict(SERVED)] if method.space is blend_space else []
        told = tune(method, value_of, budget, also=also).as_dict()
        best = {
            name: dict(max(self.trials, key=itemgetter(n))[0]) for n, name in ((1, "item"), (2, "basket"))
        }
        return {**told, "best_for": best}


def tuned_section(
    settings: Settings, searches: Searches, say: Say, rivals: Sequence[ShopMethod] = RIVALS
) -> dict[str, Any]:
    """Search on August; the section holds each method's parameters and its figures there.

    Raises:
        ModelsError: the lake is not there.
    """
    shop, budget, asked = read_shop(settings, TUNED_TO), searches.budget, searches.asked
    some = Search(sample(shop.asked, asked, 0), _some_baskets(shop.baskets, asked))
    data = data_of_shop(shop)

    def search(method: ShopMethod, fit: Callable[[Params], Score[Examples]], most: Budget) -> dict[str, Any]:
        code = BASELINE_CODE if method in BASELINES else OWN_CODE
        found = searches.kept(data, method.name, code, lambda: replace(some, trials=[]).of(method, fit, most))
        say(
            f"{SHOP}: {method.name} searched, {found['trials']} trials in {found['seconds']:.0f} s: {found['params']}"
        )
        return found

    told = {
        method.name: search(method, partial(method.trial or method.fit, shop), budget) for method in rivals
    }
    for_towers, for_blend = split_budget(budget)
    towers = search(TOWERS, partial(TOWERS.fit, shop), for_towers)
    daily = replace(shop, train=without_session(shop.train))
    told[TOWERS.name] = towers
    for name, of, hide in ((OURS.name, shop, None), (WITHOUT_SESSION, daily, asked_without_session)):
        model = fit_model(of, towers["params"])

        def blend(
            params: Params, of: Shop = of, model: TwoTower = model, hide: Hide | None = hide
        ) -> Score[Examples]:
            score = pipeline_of(model, of.train, blend_of(params)).score
            return hide(score) if hide else score

        told[name] = search(replace(OURS, name=name), blend, for_blend)
        told[name]["params"] = {**towers["params"], **told[name]["params"]}
    found = [_tested(shop, method, told[method.name], say) for method in (OURS, TOWERS, *rivals)]
    blind = _blind(shop, told[WITHOUT_SESSION], say)
    return summary(asked_of_shop(shop), [*found, blind, _as_served(shop, say)])


def data_of_shop(shop: Shop) -> str:
    """What a search on it stands for: every row of both sides, and the catalog."""
    rows = [getattr(part, one.name) for part in (shop.train, shop.asked) for one in fields(Examples)]
    told = np.array([str(asdict(shop.catalog))])
    return named(SHOP, *rows, told)


def split_budget(budget: Budget) -> tuple[Budget, Budget]:
    """Ours is searched twice, the towers and then the blend, within the one budget that every baseline has."""
    trials = max(1, round(budget.trials * TOWERS_TRIALS))
    seconds = budget.seconds * TOWERS_SECONDS
    return Budget(trials, seconds), Budget(max(1, budget.trials - trials), budget.seconds - seconds)


def _some_baskets(baskets: Examples, asked: int | None) -> Examples:
    """Whole baskets of about `asked` rows."""
    numbers = np.unique(baskets.sessions)
    if asked is None or len(baskets) <= asked:
        return baskets
    drawn = np.random.default_rng(0).choice(
        numbers, max(1, len(numbers) * asked // len(baskets)), replace=False
    )
    return baskets.where(np.isin(baskets.sessions, drawn))


def final_section(settings: Settings, told: Mapping[str, Mapping[str, Any]], say: Say) -> dict[str, Any]:
    """Fit what the searches (by method) chose on all days to the end of August, and rank September.

    Raises:
        ModelsError: the lake does not hold September.
    """
    shop = read_shop(settings, TESTED_TO)
    methods = [method for method in (OURS, TOWERS, *RIVALS) if method.name in told]
    found = [_tested(shop, method, told[method.name], say) for method in methods]
    blind = _blind(shop, told[WITHOUT_SESSION], say)
    asked = asked_of_shop(shop)
    return {**summary(asked, [*found, blind, _as_served(shop, say)]), **comparisons(asked, found, blind)}


def searches_of(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the searches on August found, by method.

    Raises:
        ModelsError: there were none.
    """
    if SHOP_TUNED not in report:
        raise ModelsError("nothing was tuned: run `make evaluate` first (`--only online_retail`)")
    return {name: one["search"] for name, one in report[SHOP_TUNED].items() if "search" in one}


def comparisons(asked: Asked, found: Sequence[Tested], blind: Tested) -> dict[str, Any]:
    """What is promised of Online Retail: the first of `found` beside the best baseline, the tutorial's, and itself blind."""
    ours = found[0]
    baselines = {one.name: one for one in found[1:] if one.name != TOWERS.name}
    recall = {one.name: float(one.ranking.recall(20).mean()) for one in (*found, blind)}
    best = max(baselines, key=lambda name: recall[name])
    hits, theirs = ours.ranking.recall(20), baselines[best].ranking.recall(20)
    shoppers = asked.cases.shoppers
    slices = {}
    for name, mask in slices_of(asked.cases, asked.counts, asked.known).items():
        if mask.any():
            rival = max(baselines.values(), key=lambda one: one.ranking.recall(20)[mask].mean())
            told = paired_difference(hits[mask], rival.ranking.recall(20)[mask], shoppers[mask])
            worse = bool(told.high < 0)
            slices[name] = {
                "best_baseline": rival.name,
                "cases": int(mask.sum()),
                "worse": worse,
                **told.as_dict(),
            }
    return {
        "best_baseline": best,
        "ratio_best_baseline": round(recall[ours.name] / recall[best], 4),
        "paired_difference": paired_difference(hits, theirs, shoppers).as_dict(),
        "ratio_tutorial": round(recall[ours.name] / recall["tutorial_two_tower"], 4),
        "ratio_in_session": round(recall[ours.name] / recall[blind.name], 4),
        "basket": _baskets_beside(ours, list(baselines.values())),
        "slices": slices,
    }


def _baskets_beside(ours: Tested, baselines: Sequence[Tested]) -> dict[str, Any]:
    """Recall@20 of the next basket beside the best baseline's."""
    best = max(baselines, key=lambda one: _mean(one.baskets))
    assert ours.baskets is not None
    assert best.baskets is not None
    return {
        "best_baseline": best.name,
        "ratio_best_baseline": round(_mean(ours.baskets) / _mean(best.baskets), 4),
        "paired_difference": basket_difference(ours.baskets, best.baskets).as_dict(),
    }


def _tested(shop: Shop, method: ShopMethod, search: Mapping[str, Any], say: Say) -> Tested:
    """Fitted as the search says: ours, once; a baseline for the next item, and for the next basket where another trial was better there."""
    began = time.perf_counter()
    for_item = for_basket = search["params"]
    if method.name not in {OURS.name, TOWERS.name}:
        for_item, for_basket = search["best_for"]["item"], search["best_for"]["basket"]
    score = method.fit(shop, for_item)
    seconds = round(time.perf_counter() - began, 1)
    of_basket = score if for_basket == for_item else method.fit(shop, for_basket)
    return _ranked(shop, method.name, (score, of_basket), {"search": search, "fit_seconds": seconds}, say)


def _ranked(
    shop: Shop, name: str, scores: tuple[Score[Examples], Score[Examples]], about: Mapping[str, Any], say: Say
) -> Tested:
    item, basket = scores
    shares = basket_shares(basket, shop.baskets)
    found = Tested(name, rank(item, shop.asked), {**about, **told_of(shares)}, shares)
    told = ", ".join(
        f"{key} {values_of(found.ranking, measure).mean():.4f}" for key, measure in MEASURES.items()
    )
    say(f"{SHOP}: {name} {told}, basket_recall20 {_mean(shares):.4f}")
    return found


def _blind(shop: Shop, search: Mapping[str, Any], say: Say) -> Tested:
    """Ours trained and asked without a slot of the session: what yesterday's features alone reach."""
    daily = replace(shop, train=without_session(shop.train))
    score = asked_without_session(OURS.fit(daily, search["params"]))
    return _ranked(shop, WITHOUT_SESSION, (score, score), {"search": search}, say)


def _as_served(shop: Shop, say: Say) -> Tested:
    """Ours by the constants that a shop's training takes today, whatever the search found."""
    score = OURS.fit(shop, {})
    return _ranked(shop, AS_SERVED, (score, score), {}, say)


def _mean(shares: Shares | None) -> float:
    assert shares is not None
    return float(shares.values.mean())
