"""The search for the blend's weights, on any data set: it begins with the towers alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace

import optuna

from models.decide.blend import SERVED, Blend
from models.evaluation.search import Params

NEUTRAL: Params = asdict(Blend(popular=0.0, fading=1.0, again=0.0, yielding=1.0, together=0.0))


@dataclass(frozen=True, slots=True)
class Blending:
    """What `tune` needs of it."""

    space: Callable[[optuna.Trial], Params]
    start: Params


def blend_space(trial: optuna.Trial) -> Params:
    """What the search draws from."""
    return {
        "popular": trial.suggest_float("popular", 0.0, 2.0),
        "fading": trial.suggest_float("fading", 0.0, 1.5),
        "again": trial.suggest_float("again", 0.0, 3.0),
        "yielding": trial.suggest_float("yielding", 0.0, 1.5),
        "together": trial.suggest_float("together", 0.0, 1.0),
        "voted": trial.suggest_float("voted", 0.0, 1.0),
        "shown": trial.suggest_float("shown", 0.0, 2.0),
    }


def blend_of(params: Params) -> Blend:
    """The weights of a search's parameters; the served ones where it names none."""
    return replace(SERVED, **{part.name: params[part.name] for part in fields(Blend) if part.name in params})


BLENDING = Blending(blend_space, NEUTRAL)
CLICKS: Params = {**NEUTRAL, "together": 0.2, "voted": 0.5, "shown": 1.0}
"""Where every click is an event: nobody wants what is on the screen already."""
