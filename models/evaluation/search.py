"""The same search for every model: at most so many trials or minutes, on validation alone.

Trials are drawn by Optuna's TPE (Bergstra et al. 2011) under a seed; what a trial raises for want of memory or sense ends
the search loudly. The best configuration is then fitted on the full training data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import optuna

from models.evaluation.cases import Cases, Interactions
from models.evaluation.ranking import Score

Params = Mapping[str, Any]
Fit = Callable[[Interactions, int, Params], Score[Cases]]
TRIALS = 30
SECONDS = 20 * 60.0


@dataclass(frozen=True, slots=True)
class Method:
    """A model that can be fitted and tuned.

    Attributes:
        fit: (training rows, number of items, parameters) → scores.
        space: draws parameters; the first trial takes `start`.
        within: `fit` for at most so many seconds, where one can take too long for a search.
    """

    name: str
    fit: Fit
    space: Callable[[optuna.Trial], Params]
    start: Params
    within: Callable[[float], Fit] | None = None

    def fit_within(self, seconds: float) -> Fit:
        """`fit`, ended after so many seconds where it can be."""
        return self.within(seconds) if self.within else self.fit


@dataclass(frozen=True, slots=True)
class Budget:
    """What a search may cost, whichever is first."""

    trials: int = TRIALS
    seconds: float = SECONDS

    @property
    def trial_seconds(self) -> float:
        """Of a trial that can be ended: a search sees more than a few."""
        return self.seconds / 5


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best parameters, their validation figure, and what the search took."""

    params: Params
    value: float
    trials: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "params": dict(self.params),
            "validation": round(self.value, 5),
            "trials": self.trials,
            "seconds": round(self.seconds, 1),
        }


class Tunable(Protocol):
    """What a search needs of a method."""

    @property
    def space(self) -> Callable[[optuna.Trial], Params]: ...
    @property
    def start(self) -> Params: ...


def tune(
    method: Tunable,
    value_of: Callable[[Params], float],
    budget: Budget,
    seed: int = 0,
    also: Sequence[Params] = (),
) -> Tuned:
    """The parameters with the greatest `value_of`, the first of equals; the trials begin with the method's start, then `also`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    began, params_of = time.perf_counter(), dict[int, Params]()
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    for first in (method.start, *also):
        if first:
            study.enqueue_trial(dict(first))

    def objective(trial: optuna.Trial) -> float:
        params_of[trial.number] = method.space(trial)
        return value_of(params_of[trial.number])

    trials = budget.trials if method.start else 1
    study.optimize(objective, n_trials=trials, timeout=budget.seconds)
    best = study.best_trial
    return Tuned(params_of[best.number], study.best_value, len(study.trials), time.perf_counter() - began)
