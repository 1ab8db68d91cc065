"""Every baseline on Online Retail, with the spaces that their searches draw from.

The shop names no category, so there is no popularity within one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from models.baselines.popularity import score_popularity
from models.baselines.recent import score_recent
from models.evaluation.cases import Cases, Floats
from models.evaluation.methods import EASE, IALS, ITEM_KNN, SESSION_KNN, TUTORIAL
from models.evaluation.ranking import Score
from models.evaluation.search import Budget, Fit, Method, Params
from models.evaluation.shop import Shop
from models.examples import Examples

OF_SHOPPERS = "of_shoppers"
Space = Callable[[optuna.Trial], Params]
ShopFit = Callable[[Shop, Params], Score[Examples]]


@dataclass(frozen=True, slots=True)
class ShopMethod:
    """As `search.Method`, but of the shop's examples."""

    name: str
    fit: ShopFit
    space: Space
    start: Params
    trial: ShopFit | None = None


def of_sessions(method: Method) -> ShopMethod:
    """A method of the public sets, that learns from the labels of the sessions."""

    def of(fit: Fit) -> ShopFit:
        return lambda shop, params: fit(shop.train.interactions(), shop.items, params)

    return ShopMethod(method.name, of(method.fit), method.space, method.start, of(_trial(method)))


def of_baskets(method: Method) -> ShopMethod:
    """One whose search may also take all that a shopper ever took for one basket."""

    def of(fit: Fit) -> ShopFit:
        def fitted(shop: Shop, params: Params) -> Score[Cases]:
            rest = {name: value for name, value in params.items() if name != OF_SHOPPERS}
            return fit(shop.train.interactions(of_shoppers=params[OF_SHOPPERS]), shop.items, rest)

        return fitted

    def space(trial: optuna.Trial) -> Params:
        return {**method.space(trial), OF_SHOPPERS: trial.suggest_categorical(OF_SHOPPERS, [False, True])}

    start = {**method.start, OF_SHOPPERS: False}
    return ShopMethod(method.name, of(method.fit), space, start, of(_trial(method)))


def _trial(method: Method) -> Fit:
    return method.fit_within(Budget().trial_seconds)


def fit_trending(shop: Shop, params: Params) -> Score[Cases]:
    """Popularity in which a day counts half of what `half_life` days later counts."""
    return score_popularity(trending(shop, params["half_life"]))


def fit_repurchase(shop: Shop, params: Params) -> Score[Cases]:
    """What the shopper had last, again; then what is popular."""
    return score_recent(trending(shop, params["half_life"]))


def trending(shop: Shop, half_life: float) -> Floats:
    """float32[items]: additions to the cart, each halved for every `half_life` days of its age."""
    rows = shop.train.interactions()
    weights = 0.5 ** ((rows.days.max() - rows.days) / half_life)
    return np.bincount(rows.items, weights, shop.items).astype(np.float32)


def _half_life(trial: optuna.Trial) -> float:
    return trial.suggest_float("half_life", 1.0, 200.0, log=True)


TRENDING = ShopMethod(
    "popularity", fit_trending, lambda trial: {"half_life": _half_life(trial)}, {"half_life": 30.0}
)
BASELINES: Sequence[ShopMethod] = (
    TRENDING,
    ShopMethod(
        "repurchase", fit_repurchase, lambda trial: {"half_life": _half_life(trial)}, {"half_life": 30.0}
    ),
    *(of_baskets(method) for method in (ITEM_KNN, EASE, IALS)),
    *(of_sessions(method) for method in (SESSION_KNN, TUTORIAL)),
)
