"""What competes on Online Retail: the served two-tower, the towers alone, what is blended around them alone, and the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import optuna

from contracts.features import EMBEDDING_SIZE
from models.baselines.popularity import popularity
from models.evaluation.blending import NEUTRAL, blend_of, blend_space
from models.evaluation.cases import Floats
from models.evaluation.ranking import Score
from models.evaluation.search import Params
from models.evaluation.shop import Shop
from models.evaluation.shop_baselines import BASELINES, ShopMethod
from models.examples import Examples
from models.ranker import learned_ranker, ranked
from models.served import Around, Pipeline
from models.towers import Shape, TwoTower
from models.train import Fit, query_of
from models.training import fitted_towers, pipeline_of


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
    """The pipeline as it serves, with the ranker that its last week earns it."""

    def fit(train: Examples) -> Pipeline:
        return pipeline_of(fit_model(replace(shop, train=train), params), train, blend_of(params))

    pipeline, earlier = fit(shop.train), shop.earlier
    if earlier is not None:
        trees = learned_ranker(shop.train, earlier, fit, fit_of(params).seed).trees
        if trees:
            pipeline = ranked(pipeline, earlier.at_last, trees)
    return pipeline.score


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
        "facts_dropout": trial.suggest_float("facts_dropout", 0.0, 0.5),
        "hard_negatives": trial.suggest_categorical("hard_negatives", [0, 128, 512]),
        "heads": trial.suggest_int("heads", 2, 8),
    }


def fit_without_towers(shop: Shop, params: Params) -> Score[Examples]:
    """What is blended around the towers, alone: popularity, the shopper's own items, neighbours."""
    nothing = np.zeros((shop.items, EMBEDDING_SIZE), np.float32)
    around = Around.learned(shop.train.interactions(), shop.items)

    def query(examples: Examples) -> Floats:
        return np.zeros((len(examples), EMBEDDING_SIZE), np.float32)

    return Pipeline(query, nothing, around, blend_of(params)).score


TOWERS = ShopMethod(
    "two_tower_alone",
    fit_alone,
    _towers_space,
    {
        "epochs": 8,
        "learning_rate": 0.006,
        "temperature": 0.1,
        "id_dropout": 0.1,
        "slot_dropout": 0.2,
        "session_dropout": 0.15,
        "facts_dropout": 0.2,
        "hard_negatives": 0,
        "heads": 4,
    },
)
OURS = ShopMethod("ours", fit_served, blend_space, NEUTRAL)
WITHOUT_TOWERS = ShopMethod("blend_without_towers", fit_without_towers, blend_space, NEUTRAL)
RIVALS: Sequence[ShopMethod] = (*BASELINES, WITHOUT_TOWERS)
