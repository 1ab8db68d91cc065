"""The baselines with the spaces that their search draws from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial

import optuna

from models.baselines.ease import ease, score_ease
from models.baselines.ials import ials, score_ials
from models.baselines.item_knn import item_knn, score_knn
from models.baselines.popularity import popularity, score_popularity
from models.baselines.session_knn import score_sessions, session_index
from models.baselines.tutorial import fit_tutorial, score_tutorial
from models.evaluation.cases import Cases, Interactions
from models.evaluation.ranking import Score
from models.evaluation.search import Method, Params

ITERATIONS = 15


def fit_popularity(train: Interactions, items: int, params: Params) -> Score[Cases]:
    """Counts of the last 30 days, of all rows where a data set names no days."""
    return score_popularity(popularity(train, items))


def fit_item_knn(train: Interactions, items: int, params: Params) -> Score[Cases]:
    """See `models.baselines.item_knn`."""
    knn = item_knn(train, items, params["neighbours"], params["basket_exponent"], params["shrink"])
    return score_knn(knn, popularity(train, items), params["decay"])


def fit_ease(train: Interactions, items: int, params: Params) -> Score[Cases]:
    """See `models.baselines.ease`."""
    return score_ease(ease(train, items, params["penalty"]), popularity(train, items), params["decay"])


def fit_ials(train: Interactions, items: int, params: Params) -> Score[Cases]:
    """See `models.baselines.ials`."""
    model = ials(
        train,
        items,
        factors=params["factors"],
        regularization=params["regularization"],
        alpha=params["alpha"],
        iterations=ITERATIONS,
        seed=0,
    )
    return score_ials(model, popularity(train, items), params["decay"])


def fit_session_knn(train: Interactions, items: int, params: Params) -> Score[Cases]:
    """See `models.baselines.session_knn`."""
    index = session_index(train, items, params["sample"])
    return score_sessions(
        index,
        popularity(train, items),
        params["neighbours"],
        params["slots"],
        params["idf"],
        repeats=params["repeats"],
    )


def fit_tutorial_towers(
    train: Interactions, items: int, params: Params, most_seconds: float = math.inf
) -> Score[Cases]:
    """See `models.baselines.tutorial`."""
    model = fit_tutorial(
        train,
        items,
        learning_rate=params["learning_rate"],
        size=params["size"],
        epochs=params["epochs"],
        most_seconds=most_seconds,
    )
    return score_tutorial(model, items)


def _item_knn_space(trial: optuna.Trial) -> Params:
    return {
        "neighbours": trial.suggest_int("neighbours", 20, 500, log=True),
        "basket_exponent": trial.suggest_float("basket_exponent", 0.0, 1.0),
        "shrink": trial.suggest_float("shrink", 0.0, 20.0),
        "decay": trial.suggest_float("decay", 0.0, 3.0),
    }


def _ease_space(trial: optuna.Trial) -> Params:
    return {
        "penalty": trial.suggest_float("penalty", 1.0, 2000.0, log=True),
        "decay": trial.suggest_float("decay", 0.0, 2.0),
    }


def _ials_space(trial: optuna.Trial) -> Params:
    return {
        "factors": trial.suggest_int("factors", 32, 256, log=True),
        "regularization": trial.suggest_float("regularization", 1e-3, 10.0, log=True),
        "alpha": trial.suggest_float("alpha", 1.0, 100.0, log=True),
        "decay": trial.suggest_float("decay", 0.0, 2.0),
    }


def _session_knn_space(trial: optuna.Trial) -> Params:
    return {
        "sample": trial.suggest_int("sample", 100, 5000, log=True),
        "neighbours": trial.suggest_int("neighbours", 20, 1500, log=True),
        "slots": trial.suggest_int("slots", 2, 20),
        "idf": trial.suggest_float("idf", 0.0, 2.0),
        "repeats": trial.suggest_categorical("repeats", [True, False]),
    }


def _tutorial_space(trial: optuna.Trial) -> Params:
    return {
        "learning_rate": trial.suggest_float("learning_rate", 0.05, 2.0, log=True),
        "size": trial.suggest_int("size", 32, 128, log=True),
        "epochs": trial.suggest_int("epochs", 3, 30, log=True),
    }


POPULARITY = Method("popularity", fit_popularity, lambda trial: {}, {})
ITEM_KNN = Method(
    "item_knn",
    fit_item_knn,
    _item_knn_space,
    {"neighbours": 100, "basket_exponent": 0.5, "shrink": 0.0, "decay": 1.0},
)
EASE = Method("ease", fit_ease, _ease_space, {"penalty": 250.0, "decay": 0.0})
IALS = Method(
    "ials", fit_ials, _ials_space, {"factors": 128, "regularization": 0.1, "alpha": 10.0, "decay": 0.0}
)
SESSION_KNN = Method(
    "session_knn",
    fit_session_knn,
    _session_knn_space,
    {"sample": 1500, "neighbours": 500, "slots": 3, "idf": 1.0, "repeats": False},
)
TUTORIAL = Method(
    "tutorial_two_tower",
    fit_tutorial_towers,
    _tutorial_space,
    {"learning_rate": 0.1, "size": 32, "epochs": 3},
    within=lambda seconds: partial(fit_tutorial_towers, most_seconds=seconds),
)
OF_DATASET: Mapping[str, tuple[Method, ...]] = {
    "beauty": (POPULARITY, ITEM_KNN, EASE, IALS, TUTORIAL),
    "diginetica": (POPULARITY, ITEM_KNN, SESSION_KNN, TUTORIAL),
    "serenade": (POPULARITY, ITEM_KNN, SESSION_KNN, TUTORIAL),
}
