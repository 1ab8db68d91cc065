"""How fast the towers train: beside the tutorial's loop on the same data, as the data grow, from yesterday's, and by two processes.

An example is an item with what precedes it; the rate is that of the sequence towers (`models.sequence`), which learn from every item of a
session in one pass. The first epoch of each loop, in which the graph is built, is not counted. Rounds of both alternate. Warm starts and several processes are measured on the served towers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from models.baselines.tutorial import fit_tutorial
from models.evaluation.cases import Dataset, Interactions, Ragged
from models.evaluation.datasets import PUBLIC
from models.evaluation.intervals import paired_difference
from models.evaluation.ranking import rank
from models.evaluation.shop import Shop
from models.sequence.fit import Fit, Towers, fit_towers
from models.towers import TwoTower
from models.train import Fit as TowersFit
from models.train import Start, warm, weights_of
from models.training import fitted_towers, pipeline_of

Say = Callable[[str], None]
DATASET = "diginetica"
FACTORS = (1, 4, 16)
COMPARED = 4
ROUNDS = 3


def speed_section(data: Path, fit: Fit, say: Say) -> dict[str, Any]:
    """Seconds and memory at 1, 4 and 16 times the data, and examples a second of both loops."""
    growth = []
    for factor in FACTORS:
        # A process of its own: peak memory is of the whole life of one.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
            growth.append(apart.submit(grown, data, fit, factor).result())
        say(f"training: {growth[-1]}")
    dataset = PUBLIC[DATASET](data)
    part, ours, theirs = _part(dataset, COMPARED), [], []
    for _ in range(ROUNDS):
        ours.append(examples_of(part, fit.shape.slots) / ours_seconds(part, dataset.items, fit))
        theirs.append(examples_of(part, fit.shape.slots) / tutorial_seconds(part, dataset.items))
        say(f"training: ours {ours[-1]:,.0f}, the tutorial's {theirs[-1]:,.0f} examples/s")
    return {
        "data": DATASET,
        "examples": examples_of(part, fit.shape.slots),
        "ours_examples_per_second": [round(rate) for rate in ours],
        "tutorial_examples_per_second": [round(rate) for rate in theirs],
        "ratio_tutorial": round(median(ours) / median(theirs), 2),
        "growth": growth,
    }


def daily_figures(shop: Shop, fit: TowersFit, say: Say) -> dict[str, Any]:
    """A day's warm start beside a training from nothing, and two processes beside one: seconds, and paired intervals of Recall@20."""
    yesterday, known = fitted_towers(
        shop.catalog, shop.train.where(shop.train.days < shop.train.days.max()), fit
    )
    start = Start(weights_of(yesterday), known)
    trainings: dict[str, Callable[[], TwoTower]] = {
        "full": lambda: fitted_towers(shop.catalog, shop.train, fit)[0],
        "warm": lambda: fitted_towers(shop.catalog, shop.train, warm(fit), start)[0],
        "two": lambda: fitted_towers(shop.catalog, shop.train, fit, workers=2)[0],
    }
    hits, seconds = {}, {}
    for name, train in trainings.items():
        began = time.perf_counter()
        model = train()
        seconds[name] = round(time.perf_counter() - began, 1)
        hits[name] = rank(pipeline_of(model, shop.train).score, shop.asked).recall(20)
        say(f"training: {name} {seconds[name]} s, Recall@20 {hits[name].mean():.4f}")

    def beside_full(name: str) -> dict[str, float | None]:
        return paired_difference(hits[name], hits["full"], shop.asked.shoppers).as_dict()

    return {
        "full_s": seconds["full"],
        "warm_start_s": seconds["warm"],
        "warm_start_difference": beside_full("warm"),
        "multi_worker_s": seconds["two"],
        "multi_worker_difference": beside_full("two"),
    }


def grown(data: Path, fit: Fit, factor: int) -> dict[str, Any]:
    """An epoch on a part of the data set: its examples, seconds, and the process's peak memory."""
    dataset = PUBLIC[DATASET](data)
    part = _part(dataset, factor)
    seconds = ours_seconds(part, dataset.items, fit)
    return {
        "factor": factor,
        "examples": examples_of(part, fit.shape.slots),
        "epoch_seconds": round(seconds, 2),
        "examples_per_second": round(examples_of(part, fit.shape.slots) / seconds),
        "memory_mib": _peak_mib(),
    }


def ours_seconds(part: Ragged, items: int, fit: Fit) -> float:
    """Of the second epoch."""
    ends: list[float] = []

    def after_epoch(epoch: int, towers: Towers, loss: float) -> bool:
        ends.append(time.perf_counter())
        return len(ends) < 2

    fit_towers(part, items, None, fit, after_epoch)
    return ends[1] - ends[0]


def tutorial_seconds(part: Ragged, items: int) -> float:
    """Of the second epoch."""
    ends = fit_tutorial(Interactions.of(part), items, learning_rate=0.1, size=32, epochs=2).epoch_ends
    return ends[1] - ends[0]


def examples_of(part: Ragged, slots: int) -> int:
    """Items that something precedes, of the slots that our towers read; the tutorial's loop reads those of longer sessions, too."""
    return int((np.minimum(part.lengths, slots + 1) - 1).clip(0).sum())


def _peak_mib() -> int:
    """Of this program; `ru_maxrss` would count what its parent had held as it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _part(dataset: Dataset, factor: int) -> Ragged:
    """The newest sessions, `factor` sixteenths of all."""
    count = len(dataset.train) * factor // FACTORS[-1]
    return dataset.train.where(slice(len(dataset.train) - count, None))
