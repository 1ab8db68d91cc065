"""What competes on Online Retail: the served two-tower, and every baseline, with the spaces that their searches draw from.

The shop names no category, so there is no popularity within one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna

from contracts.features import EMBEDDING_SIZE
from models.baselines.popularity import popularity, score_popularity
from models.baselines.recent import score_recent
from models.evaluation.blending import NEUTRAL, blend_of, blend_space
from models.evaluation.cases import Cases, Floats
from models.evaluation.methods import EASE, IALS, ITEM_KNN, SESSION_KNN, TUTORIAL
from models.evaluation.ranking import Score
from models.evaluation.search import Method, Params
from models.evaluation.shop import Shop
from models.examples import Examples
from models.served import Around, score_served
from models.towers import Shape, TwoTower
from models.train import Fit, query_of
from models.training import fitted_towers, score_pipeline

OF_SHOPPERS = "of_shoppers"
Space = Callable[[optuna.Trial], Params]


@dataclass(frozen=True, slots=True)
class ShopMethod:
    """As `search.Method`, but of the shop's examples."""

    name: str
    fit: Callable[[Shop, Params], Score[Examples]]
    space: Space
    start: Params


def of_sessions(method: Method) -> ShopMethod:
    """A method of the public sets, that learns from the labels of the sessions."""

    def fit(shop: Shop, params: Params) -> Score[Cases]:
        return method.fit(shop.train.interactions(), shop.items, params)

    return ShopMethod(method.name, fit, method.space, method.start)


def of_baskets(method: Method) -> ShopMethod:
    """One whose search may also take all that a shopper ever took for one basket."""

    def fit(shop: Shop, params: Params) -> Score[Cases]:
        rest = {name: value for name, value in params.items() if name != OF_SHOPPERS}
        return method.fit(shop.train.interactions(of_shoppers=params[OF_SHOPPERS]), shop.items, rest)

    def space(trial: optuna.Trial) -> Params:
        return {**method.space(trial), OF_SHOPPERS: trial.suggest_categorical(OF_SHOPPERS, [False, True])}

    return ShopMethod(method.name, fit, space, {**method.start, OF_SHOPPERS: False})


def fit_model(shop: Shop, params: Params) -> TwoTower:
    """The towers alone."""
    return fitted_towers(shop.catalog, shop.train, fit_of(params))[0]


def score_alone(model: TwoTower, shop: Shop) -> Score[Examples]:
    """Dot products; without any item, popularity."""
    vectors = model.item_vectors().numpy()
    query, counts = query_of(model, vectors), popularity(shop.train.interactions(), shop.items)

    def score(examples: Examples) -> Floats:
        nothing = (examples.kinds == 0).all(axis=1)
        return np.where(nothing[:, None], counts[None, :], query(examples) @ vectors.T).astype(np.float32)

    return score


def fit_alone(shop: Shop, params: Params) -> Score[Examples]:
    """The two-tower without what it is served with."""
    return score_alone(fit_model(shop, params), shop)


def fit_served(shop: Shop, params: Params) -> Score[Examples]:
    """The pipeline as it serves."""
    return score_pipeline(fit_model(shop, params), shop.train, blend_of(params))


def fit_of(params: Params) -> Fit:
    """The training's configuration of a search's parameters."""
    shape = {name: params[name] for name in Shape.__dataclass_fields__ if name in params}
    rest = {name: params[name] for name in Fit.__dataclass_fields__ if name in params}
    return replace(Fit(), **rest, shape=replace(Shape(), **shape))


def _towers_space(trial: optuna.Trial) -> Params:
    return {
        "epochs": trial.suggest_int("epochs", 3, 12),
        "learning_rate": trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
        "temperature": trial.suggest_float("temperature", 0.04, 0.2, log=True),
        "id_dropout": trial.suggest_float("id_dropout", 0.0, 0.4),
        "slot_dropout": trial.suggest_float("slot_dropout", 0.0, 0.5),
        "session_dropout": trial.suggest_float("session_dropout", 0.0, 0.4),
        "heads": trial.suggest_int("heads", 2, 8),
    }


def fit_trending(shop: Shop, params: Params) -> Score[Cases]:
    """Popularity in which a day counts half of what `half_life` days later counts."""
    return score_popularity(trending(shop, params["half_life"]))


def fit_repurchase(shop: Shop, params: Params) -> Score[Cases]:
    """What the shopper had last, again; then what is popular."""
    return score_recent(trending(shop, params["half_life"]))


def fit_without_towers(shop: Shop, params: Params) -> Score[Examples]:
    """What is blended around the towers, alone: popularity, the shopper's own items, neighbours."""
    nothing = np.zeros((shop.items, EMBEDDING_SIZE), np.float32)
    around = Around.learned(shop.train.interactions(), shop.items)

    def query(examples: Examples) -> Floats:
        return np.zeros((len(examples), EMBEDDING_SIZE), np.float32)

    return score_served(query, nothing, around, blend_of(params))


def trending(shop: Shop, half_life: float) -> Floats:
    """float32[items]: additions to the cart, each halved for every `half_life` days of its age."""
    rows = shop.train.interactions()
    weights = 0.5 ** ((rows.days.max() - rows.days) / half_life)
    return np.bincount(rows.items, weights, shop.items).astype(np.float32)


def _half_life(trial: optuna.Trial) -> float:
    return trial.suggest_float("half_life", 1.0, 200.0, log=True)


TOWERS = ShopMethod(
    "two_tower_alone",
    fit_alone,
    _towers_space,
    {
        "epochs": 6,
        "learning_rate": 0.006,
        "temperature": 0.1,
        "id_dropout": 0.1,
        "slot_dropout": 0.2,
        "session_dropout": 0.15,
        "heads": 4,
    },
)
OURS = ShopMethod("ours", fit_served, blend_space, NEUTRAL)
TRENDING = ShopMethod(
    "popularity", fit_trending, lambda trial: {"half_life": _half_life(trial)}, {"half_life": 30.0}
)
BASELINES: Sequence[ShopMethod] = (
    TRENDING,
    ShopMethod(
        "repurchase", fit_repurchase, lambda trial: {"half_life": _half_life(trial)}, {"half_life": 30.0}
    ),
    ShopMethod("blend_without_towers", fit_without_towers, blend_space, NEUTRAL),
    *(of_baskets(method) for method in (ITEM_KNN, EASE, IALS)),
    *(of_sessions(method) for method in (SESSION_KNN, TUTORIAL)),
)
