"""Our towers on a public data set: trained on the tuning part until validation stops to rise, tested as they are then.

Where the test's models may learn from the validation as well (click sets), they are fitted anew on all of it, as many
epochs as were best.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from models.decide.blend import SERVED, Blend
from models.decide.query import EMPTY, SESSION_KIND
from models.evaluation.blending import BLENDING, CLICKS
from models.evaluation.cases import Cases, Dataset, Floats, Interactions, NextItem
from models.evaluation.protocol import Tested, sample, tested, tuned_by
from models.evaluation.ranking import Score, rank
from models.evaluation.search import Budget, Params, tune
from models.sequence.fit import Fit, Towers, fit_towers
from models.served import Around, blend_rows

OURS, ALONE = "ours", "two_tower_alone"


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

    def stopped_by(self, epochs: int) -> str:
        """What ended a training of at most so many epochs."""
        if self.patient:
            return "patience"
        return "epochs" if len(self.curve) == epochs else "time"

    def restore(self, towers: Towers) -> None:
        towers.items.set_weights(self.best[0])
        towers.query.set_weights(self.best[1])


def run_towers(
    dataset: Dataset, fit: Fit, seconds: float, budget: Budget, asked: int | None = 5000
) -> tuple[Tested, Tested]:
    """Ours as it serves, and the towers alone: trained for at most `seconds`, looking at `asked` validation cases; both rank the test."""
    validation = sample(dataset.validation, asked, fit.seed)
    watch = Watch(dataset, validation, fit.patience, seconds)
    towers = fit_towers(dataset.tuning_train, dataset.items, dataset.attributes, fit, watch)
    watch.restore(towers)
    around = Around.learned(Interactions.of(dataset.tuning_train), dataset.items)

    def value_of(params: Params) -> float:
        return tuned_by(dataset.measures, rank(served(towers.score(), around, Blend(**params)), validation))

    blend = tune(BLENDING, value_of, budget, fit.seed, also=(CLICKS, asdict(SERVED)))
    if dataset.train is not dataset.tuning_train:
        again = replace(fit, epochs=watch.best_epoch)
        towers = fit_towers(dataset.train, dataset.items, dataset.attributes, again)
        around = Around.learned(Interactions.of(dataset.train), dataset.items)
    about = {
        "epochs": watch.best_epoch,
        "stopped_by": watch.stopped_by(fit.epochs),
        "seconds": round(time.perf_counter() - watch.began, 1),
        "curve": [{name: round(value, 5) for name, value in point.items()} for point in watch.curve],
        "fit": asdict(fit),
    }
    alone = towers.score()
    ours = tested(
        dataset, OURS, served(alone, around, Blend(**blend.params)), {**about, "search": blend.as_dict()}
    )
    return ours, tested(dataset, ALONE, alone, about)


def served(towers: Score[Cases], around: Around, blend: Blend) -> Score[Cases]:
    """The blend; every slot is of the session."""

    def score(cases: Cases) -> Floats:
        positions = cases.positions
        kinds = np.where(positions >= 0, SESSION_KIND, EMPTY).astype(np.int32)
        return blend_rows(towers(cases), positions, kinds, around, blend)

    return score
