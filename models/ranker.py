"""Learns the ranker from the newest week, over towers that have not seen it, and keeps it where it orders the week's end better.

```
train ─┬─ all but its last week ─► towers and what is blended around them ─► candidates of the week's questions
       └─ its last week: five days ─► trees ─► two days: is NDCG@20 greater than the blend's? ─► kept, else none
```
The towers that serve are then trained on all of `train`. What is known of the items is of the cut before the week, as a day's answers
read the cut before the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import lightgbm
import numpy as np

from contracts.settings import Settings
from models.catalog import Catalog, read_numbers_at
from models.decide.blend import total
from models.decide.ranker import BLEND, FEATURES, PRIOR, Items, features, ranked_by, read_ranker
from models.decide.scored import Floats, Ints
from models.errors import ModelsError
from models.evaluation.ranking import rank
from models.examples import Examples, split
from models.served import Pipeline, pool_of

WEEK_DAYS, CHECK_DAYS = 7, 2
QUESTIONS, LEAST_QUESTIONS = 6000, 200
"""Learned from: a draw of at most so many; fewer than the least say nothing."""
ROUNDS = 100
PARAMS = {
    "objective": "lambdarank",
    "learning_rate": 0.03,
    "num_leaves": 8,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}
"""Small and slow: a week's questions are few, and LightGBM's defaults (0.1, 31) lose to the blend on them (docs/decisions/0030)."""


@dataclass(frozen=True, slots=True)
class Week:
    """What a ranker is learned from.

    Attributes:
        before: what its towers learn from; `learned` and `checked`: the questions of the week's parts.
        numbers: float32[items, NUMBERS] of the cut before the week.
    """

    before: Examples
    learned: Examples
    checked: Examples
    numbers: Floats


@dataclass(frozen=True, slots=True)
class Learned:
    """The trees' file, None where the blend's order stays, and the figures or the cause."""

    trees: bytes | None
    said: str


def week_of(settings: Settings, catalog: Catalog, train: Examples, last: date) -> Week:
    """The week that ends with the last day that is learned from.

    Raises:
        ModelsError: there are too few questions, or nothing is known of the items before them.
    """
    before, week = split(train, last, WEEK_DAYS)
    learned, checked = split(week, last, CHECK_DAYS)
    if min(len(learned), len(checked)) < LEAST_QUESTIONS:
        raise ModelsError(f"{len(learned)} and {len(checked)} questions of the last {WEEK_DAYS} days")
    numbers = read_numbers_at(settings, catalog, last - timedelta(days=WEEK_DAYS))
    return Week(before, learned, checked, numbers)


def ranked(pipeline: Pipeline, catalog: Catalog, numbers: Floats, trees: bytes) -> Pipeline:
    """The pipeline with its best in the order of trees that read the catalog with the numbers of some cut."""
    items = Items.of(catalog, pipeline.vectors, numbers)
    return replace(pipeline, rank=ranked_by(read_ranker(trees), items))


def fit_ranker(pipeline: Pipeline, catalog: Catalog, week: Week, seed: int) -> Learned:
    """Learn and check; `pipeline` has learned from `week.before` alone."""
    items = Items.of(catalog, pipeline.vectors, week.numbers)
    given, gains, groups = _rows(pipeline, items, _drawn(week.learned, seed))
    data = lightgbm.Dataset(
        given, gains, group=groups, init_score=PRIOR * given[:, BLEND], feature_name=list(FEATURES)
    )
    booster = lightgbm.train({**PARAMS, "seed": seed}, data, ROUNDS)
    trees, asked = booster.model_to_string().encode(), _drawn(week.checked, seed)
    with_trees = ranked(pipeline, catalog, week.numbers, trees)
    before, after = (float(rank(one.score, asked).ndcg(20).mean()) for one in (pipeline, with_trees))
    said = f"NDCG@20 {after:.4f} beside {before:.4f} of the blend"
    return Learned(trees if after > before else None, said)


def _drawn(examples: Examples, seed: int) -> Examples:
    if len(examples) <= QUESTIONS:
        return examples
    rows = np.random.default_rng(seed).choice(len(examples), QUESTIONS, replace=False)
    return examples.where(np.sort(rows))


def _rows(pipeline: Pipeline, items: Items, examples: Examples) -> tuple[Floats, Ints, list[int]]:
    """float32[rows, FEATURES], int32[rows] 1 of what was taken, and how many rows each question has.

    A question whose item is no candidate teaches no order.
    """
    given, gains = [], []
    for row, (pool, said) in enumerate(_pools(pipeline, examples)):
        taken = pool == examples.labels[row]
        if taken.any():
            given.append(features(items, examples.question(row), pool, said))
            gains.append(taken.astype(np.int32))
    return np.concatenate(given), np.concatenate(gains), [len(one) for one in gains]


def _pools(pipeline: Pipeline, examples: Examples) -> Iterator[tuple[Ints, dict[str, Floats]]]:
    """Candidates int32[n] of each question and what each source says of them."""
    for said in pipeline.said(examples):
        pool = pool_of(total(said))
        yield pool, {name: value[pool] for name, value in said.items()}
