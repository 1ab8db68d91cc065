"""Our towers on a public data set: trained on the tuning part until validation stops to rise, tested as they are then.

Where the test's models may learn from the validation as well (click sets), they are fitted anew on all of it, as many
epochs as were best.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from models.evaluation.cases import Dataset, NextItem
from models.evaluation.protocol import Tested, sample, tested, tuned_by
from models.evaluation.ranking import rank
from models.sequence.fit import Fit, Towers, fit_towers

NAME = "ours"


@dataclass(slots=True)
class Watch:
    """Looks at the validation after each epoch; keeps the best weights, and says when to stop."""

    dataset: Dataset
    validation: NextItem
    patience: int
    deadline: float
    curve: list[dict[str, float]] = field(default_factory=list)
    best: list[Any] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def __call__(self, epoch: int, towers: Towers, loss: float) -> bool:
        value = tuned_by(self.dataset.measures, rank(towers.score(), self.validation))
        seconds = time.perf_counter() - self.began
        if not self.curve or value > max(point["validation"] for point in self.curve):
            self.best = [towers.items.get_weights(), towers.query.get_weights()]
        self.curve.append({"epoch": epoch + 1, "loss": loss, "validation": value, "seconds": seconds})
        return not self.patient and seconds < self.deadline

    @property
    def patient(self) -> bool:
        """Whether it was waited long enough for something better."""
        return len(self.curve) - self.best_epoch >= self.patience

    @property
    def best_epoch(self) -> int:
        return 1 + int(np.argmax([point["validation"] for point in self.curve]))

    def restore(self, towers: Towers) -> None:
        towers.items.set_weights(self.best[0])
        towers.query.set_weights(self.best[1])


def run_towers(dataset: Dataset, fit: Fit, seconds: float, asked: int | None = 5000) -> Tested:
    """Train for at most `seconds`, looking at `asked` validation cases, and rank the test."""
    watch = Watch(dataset, sample(dataset.validation, asked, fit.seed), fit.patience, seconds)
    towers = fit_towers(dataset.tuning_train, dataset.items, dataset.attributes, fit, watch)
    watch.restore(towers)
    if dataset.train is not dataset.tuning_train:
        again = replace(fit, epochs=watch.best_epoch)
        towers = fit_towers(dataset.train, dataset.items, dataset.attributes, again)
    about = {
        "epochs": watch.best_epoch,
        "stopped_by": "patience" if watch.patient else "time",
        "seconds": round(time.perf_counter() - watch.began, 1),
        "curve": [{name: round(value, 5) for name, value in point.items()} for point in watch.curve],
        "fit": asdict(fit),
    }
    return tested(dataset, NAME, towers.score(), about)
