"""One protocol: every model tuned on validation under one budget, fitted on all training data, and measured on the same cases.

```
tuning_train ─ fit ─► validation ─ best of the search ─► fit on train ─► test
```
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.evaluation.baskets import Shares
from models.evaluation.cases import AnyCases, Cases, Dataset, Floats, Interactions, Mask
from models.evaluation.figures import recall_by_slice
from models.evaluation.intervals import interval, paired_difference
from models.evaluation.metrics import Doubles, Ranking
from models.evaluation.ranking import Score, rank
from models.evaluation.search import Method, Params, tune
from models.evaluation.searches import BASELINES, Searches, named
from models.evaluation.slices import slices_of

Measures = Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Tested:
    """One model's test; `baskets` where whole baskets were asked, too."""

    name: str
    ranking: Ranking
    about: Mapping[str, Any]
    baskets: Shares | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What all models of a report were asked, and what is told of the answers.

    Attributes:
        counts: float32[items], how often training had each item.
        known: bool[n], whether training had the case's shopper.
    """

    cases: Cases
    counts: Floats
    known: Mask
    measures: Measures
    about: Mapping[str, Any]


def run_method(dataset: Dataset, method: Method, searches: Searches, seed: int = 0) -> Tested:
    """Tune on (at most so many cases of) the validation, fit on the training data, rank the test.

    A last fit that can be ended takes no longer than the search may.
    """
    validation = sample(dataset.validation, searches.asked, seed)
    learned, fit = Interactions.of(dataset.tuning_train), method.fit_within(searches.budget.trial_seconds)

    def value_of(params: Params) -> float:
        return tuned_by(dataset.measures, rank(fit(learned, dataset.items, params), validation))

    told = searches.kept(
        data_of(dataset),
        method.name,
        BASELINES,
        lambda: tune(method, value_of, searches.budget, seed).as_dict(),
    )
    began = time.perf_counter()
    score = method.fit_within(searches.budget.seconds)(
        Interactions.of(dataset.train), dataset.items, told["params"]
    )
    about = {"search": told, "fit_seconds": round(time.perf_counter() - began, 1)}
    return tested(dataset, method.name, score, about)


def data_of(dataset: Dataset) -> str:
    """What a search on it stands for."""
    learned, asked = dataset.tuning_train, dataset.validation
    return named(dataset.name, learned.values, learned.lengths, asked.positions, asked.labels)


def tested(dataset: Dataset, name: str, score: Score[Cases], about: Mapping[str, Any]) -> Tested:
    """Rank the test."""
    return Tested(name, rank(score, dataset.test), about)


def tuned_by(measures: Measures, ranking: Ranking) -> float:
    """The figure that searches maximize: the last of the measures."""
    return float(values_of(ranking, list(measures.values())[-1]).mean())


def values_of(ranking: Ranking, measure: tuple[str, int]) -> Doubles:
    """float64[n]: the measure of each case."""
    name, k = measure
    found: Doubles = getattr(ranking, name)(k)
    return found


def sample(cases: AnyCases, count: int | None, seed: int) -> AnyCases:
    """At most `count` cases, drawn without replacement."""
    if count is None or len(cases) <= count:
        return cases
    drawn = np.random.default_rng(seed).choice(len(cases), count, replace=False)
    return cases.where(np.sort(drawn))


def asked_of(dataset: Dataset) -> Asked:
    """The test of a public data set."""
    test = dataset.test
    facts = {
        "items": dataset.items,
        "sequences": len(dataset.train),
        "events": len(dataset.train.values),
        "test_cases": len(test),
    }
    return Asked(
        test,
        Interactions.of(dataset.train).counts(dataset.items),
        # Leave one out tests shoppers that were trained on; sessions are new.
        np.full(len(test), test.masks_history),
        dataset.measures,
        {"published": dataset.published, "facts": facts},
    )


def summary(asked: Asked, found: Sequence[Tested]) -> dict[str, Any]:
    """A section of the report: each model's measures with intervals, slices, and the first held against the others."""
    shoppers, counts = asked.cases.shoppers, asked.counts
    slices = slices_of(asked.cases, counts, asked.known)
    report: dict[str, Any] = dict(asked.about)
    for one in found:
        report[one.name] = {
            **measured(one.ranking, asked.measures, asked.cases),
            "coverage_at_20": round(one.ranking.coverage(len(counts)), 4),
            "novelty_at_20": round(one.ranking.novelty(counts), 3),
            "popularity_bias_at_20": round(one.ranking.popularity_bias(counts), 3),
            "slices": recall_by_slice(one.ranking, shoppers, slices),
            **one.about,
        }
    report["differences"] = {
        key: {
            other.name: paired_difference(
                values_of(found[0].ranking, measure), values_of(other.ranking, measure), shoppers
            ).as_dict()
            for other in found[1:]
        }
        for key, measure in asked.measures.items()
    }
    return report


def measured(ranking: Ranking, measures: Measures, cases: Cases) -> dict[str, Any]:
    """Each measure, and its interval beside it."""
    found: dict[str, Any] = {}
    for key, measure in measures.items():
        told = interval(values_of(ranking, measure), cases.shoppers)
        found |= {key: round(told.mean, 5), f"{key}_interval": told.as_dict()}
    return found
