"""Learns the ranker from the newest week, over towers that have not seen it, and keeps it where it orders the week's end better.

```
train ─┬─ all but its last week ─► towers and what is blended around them ─► candidates of the week's questions
       └─ its last week: five days ─► trees ─► two days: is NDCG@20 greater than the blend's? ─► kept, else none
```
The towers that serve are then trained on all of `train`. What is read of the items is of the cut before the week, for all of its days: a day's
answers read counts that are fresher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import lightgbm
import numpy as np

from contracts.settings import Settings
from models.catalog import Catalog, read_catalog_at
from models.changes import over
from models.decide.ranker import BLEND, FEATURES, PRIOR, Items, features, new_rows, ranked_by, read_ranker
from models.decide.scored import Floats, Ints
from models.errors import ModelsError
from models.evaluation.cases import chunks
from models.evaluation.ranking import CHUNK, rank
from models.examples import Examples, split
from models.served import Pipeline, candidates, is_asked

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
class Earlier:
    """A catalog's items as they were at `last`, the last day that is learned from, and at the cut a week `before`."""

    last: date
    at_last: Catalog
    before: Catalog


@dataclass(frozen=True, slots=True)
class Week:
    """What a ranker is learned from: the questions of the week's two parts, and what its towers learn from before it."""

    before: Examples
    learned: Examples
    checked: Examples


@dataclass(frozen=True, slots=True)
class Learned:
    """The trees' file, None where the blend's order stays, and the figures or the cause."""

    trees: bytes | None
    said: str


def read_earlier(settings: Settings, catalog: Catalog, last: date) -> Earlier:
    """The items of the catalog at both cuts.

    Raises:
        ModelsError: one of them has no rows.
    """
    at_last, before = (
        over(catalog, read_catalog_at(settings, cut)) for cut in (last, last - timedelta(days=WEEK_DAYS))
    )
    return Earlier(last, at_last, before)


def learned_ranker(
    train: Examples, earlier: Earlier, fit: Callable[[Examples], Pipeline], seed: int
) -> Learned:
    """One of the last week, over the pipeline that `fit` makes of what lies before; none where there is too little to learn from."""
    try:
        week = week_of(train, earlier.last)
        return fit_ranker(fit(week.before), earlier.before, week, seed)
    except ModelsError as error:
        return Learned(None, f"none: {error}")


def week_of(train: Examples, last: date) -> Week:
    """The week that ends with the last day that is learned from.

    Raises:
        ModelsError: it has too few questions.
    """
    before, week = split(train, last, WEEK_DAYS)
    learned, checked = split(week.where(is_asked(week)), last, CHECK_DAYS)
    if min(len(learned), len(checked)) < LEAST_QUESTIONS:
        raise ModelsError(f"{len(learned)} and {len(checked)} questions of the last {WEEK_DAYS} days")
    return Week(before, learned, checked)


def ranked(pipeline: Pipeline, catalog: Catalog, trees: bytes) -> Pipeline:
    """The pipeline with its best in the order of trees that read the catalog's items as they were at some cut."""
    rank = ranked_by(read_ranker(trees), Items.of(catalog, pipeline.vectors))
    return replace(pipeline, rank=rank, new=new_rows(catalog.numbers))


def fit_ranker(pipeline: Pipeline, before: Catalog, week: Week, seed: int) -> Learned:
    """Learn and check.

    Args:
        pipeline: it has learned from `week.before` alone.
        before: the items at the cut before the week.

    Raises:
        ModelsError: of no question the item was a candidate.
    """
    pipeline = replace(pipeline, new=new_rows(before.numbers))
    given, gains, groups = _rows(pipeline, Items.of(before, pipeline.vectors), _drawn(week.learned, seed))
    data = lightgbm.Dataset(
        given, gains, group=groups, init_score=PRIOR * given[:, BLEND], feature_name=list(FEATURES)
    )
    booster = lightgbm.train({**PARAMS, "seed": seed}, data, ROUNDS)
    trees, asked = booster.model_to_string().encode(), _drawn(week.checked, seed)
    with_trees = ranked(pipeline, before, trees)
    blend, order = (float(rank(one.score, asked).ndcg(20).mean()) for one in (pipeline, with_trees))
    said = f"NDCG@20 {order:.4f} beside {blend:.4f} of the blend"
    return Learned(trees if order > blend else None, said)


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
    for some in chunks(examples, CHUNK):
        for row, (pool, said) in enumerate(_pools(pipeline, some)):
            taken = pool == some.labels[row]
            if taken.any():
                given.append(features(items, some.question(row), pool, said))
                gains.append(taken.astype(np.int32))
    if not gains:
        raise ModelsError(f"of {len(examples)} questions no item was a candidate")
    return np.concatenate(given), np.concatenate(gains), [len(one) for one in gains]


def _pools(pipeline: Pipeline, examples: Examples) -> Iterator[tuple[Ints, dict[str, Floats]]]:
    """Candidates int32[n] of each question and what each source says of them."""
    for row, said in enumerate(pipeline.said(examples)):
        pool = candidates(said, examples.carted[row], pipeline.new)
        yield pool, {name: value[pool] for name, value in said.items()}
