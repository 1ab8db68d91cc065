"""Retrieval by vector at k = 500: recall, time, build and bytes of each method, all asked in turn; then ours under filters.

```
Diginetica ─► towers ─► vectors ─► grown to each size ─► every method, query by query, in turn
```
Recall is of what ranks highest by whole numbers. One thread for a search; what builds an index may take all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from models.bench.methods import BUILDERS, Method
from models.bench.vectors import DATASET, Vectors, grown, trained
from models.decide.scored import Floats, Ints, Mask

Say = Callable[[str], None]
COUNT = 500
POPULAR = 0.1
"""What popularity counts beside the vectors: as SERVED where four items are known."""
LEAST_RECALL = 0.99

BY_CHANCE, ONE_WAY = KINDS = ("by chance", "but for one way")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        items: sizes of the catalog; every method is built at the first, ours alone at the others.
        filtered: shares of the items that a filter leaves out: of items by chance, and of all but those that point one way, as a category's do.
    """

    items: Sequence[int] = (500_000, 50_000, 2_000_000)
    filtered: Sequence[float] = (0.0, 0.5, 0.9, 0.99)
    queries: int = 200
    epochs: int = 3
    methods: Sequence[str] = tuple(BUILDERS)


def run(data: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """Measure; the report's figures.

    Raises:
        ModelsError: the data set is not there.
    """
    began = time.perf_counter()
    real = trained(data, plan.epochs, plan.queries)
    say(f"retrieval: {len(real.items):,} trained vectors in {time.perf_counter() - began:.0f} s")
    vectors = grown(real, plan.items[0])
    beside = compared(vectors, plan, say)
    report = {
        "data": {"trained_on": DATASET, "trained": len(real.items), "items": len(vectors.items), "k": COUNT},
        "plan": asdict(plan),
        "ours": beside.pop("ours"),
        "others": [{"name": name, **figures} for name, figures in beside.items()],
        "filtered": [
            filtered(vectors, share, kind, say)
            for share in plan.filtered
            for kind in (KINDS if share else KINDS[:1])
        ],
        "growth": [alone(grown(real, count), say) for count in plan.items],
        "seconds": round(time.perf_counter() - began, 1),
    }
    return {**report, "broken": broken(report)}


def compared(vectors: Vectors, plan: Plan, say: Say) -> dict[str, dict[str, Any]]:
    """Every method over all items."""
    built: dict[str, Method] = {}
    build_s: dict[str, float] = {}
    for name in plan.methods:
        started = time.perf_counter()
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        made = BUILDERS[name](vectors, POPULAR)
        built |= made
        build_s |= dict.fromkeys(made, time.perf_counter() - started)
        say(f"retrieval: {name} built in {build_s[next(iter(made))]:.1f} s")
    faiss.omp_set_num_threads(1)
    found = asked(vectors, built, None)
    for name, figures in found.items():
        figures |= {"build_s": round(build_s[name], 2), "memory_mib": round(built[name].bytes / 2**20)}
        say(f"retrieval: {name} {figures}")
    return found


def filtered(vectors: Vectors, share: float, kind: str, say: Say) -> dict[str, Any]:
    """Ours where `share` of the items is left out."""
    chance = np.random.default_rng(0)
    if kind == BY_CHANCE:
        allowed = chance.random(len(vectors.items)) >= share
    else:
        along = vectors.items @ chance.standard_normal(vectors.items.shape[1]).astype(np.float32)
        allowed = along >= np.quantile(along, share)
    told = asked(vectors, BUILDERS["ours"](vectors, POPULAR), allowed)["ours"]
    say(f"retrieval: {share:.0%} left out {kind}: {told}")
    return {"left_out": share, "filter": kind, "allowed": int(allowed.sum()), **told}


def alone(vectors: Vectors, say: Say) -> dict[str, Any]:
    """Ours at one size."""
    started = time.perf_counter()
    methods = BUILDERS["ours"](vectors, POPULAR)
    build_s = round(time.perf_counter() - started, 2)
    told = asked(vectors, methods, None)["ours"]
    say(f"retrieval: {len(vectors.items):,} items: {told}")
    return {
        "items": len(vectors.items),
        **told,
        "build_s": build_s,
        "memory_mib": round(methods["ours"].bytes / 2**20),
    }


def asked(vectors: Vectors, methods: Mapping[str, Method], allowed: Mask | None) -> dict[str, dict[str, Any]]:
    """Every query of every method in turn: recall, fewest found, milliseconds."""
    took: dict[str, list[float]] = {name: [] for name in methods}
    recall: dict[str, list[float]] = {name: [] for name in methods}
    fewest = dict.fromkeys(methods, COUNT)
    for query in vectors.queries:
        best = truth(vectors, query, allowed)
        for name, method in methods.items():
            started = time.perf_counter()
            found = method.search(query, allowed, COUNT)
            took[name].append((time.perf_counter() - started) * 1000)
            recall[name].append(len(np.intersect1d(found, best)) / max(len(best), 1))
            fewest[name] = min(fewest[name], len(found))
    return {
        name: {
            "recall_500": round(float(np.mean(recall[name])), 5),
            "fewest": fewest[name],
            "p50_ms": round(float(np.quantile(took[name], 0.5)), 3),
            "p99_ms": round(float(np.quantile(took[name], 0.99)), 3),
        }
        for name in methods
    }


def truth(vectors: Vectors, query: Floats, allowed: Mask | None) -> Ints:
    """int32[500]: the allowed items that rank highest."""
    scores = vectors.items @ query + np.float32(POPULAR) * vectors.popularity
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    count = min(COUNT, len(scores) if allowed is None else int(allowed.sum()))
    best: Ints = (
        np.argpartition(-scores, count - 1)[:count].astype(np.int32) if count else np.empty(0, np.int32)
    )
    return best


def broken(report: Mapping[str, Any]) -> list[str]:
    """What is promised and was not so."""
    told = []
    for name, figures in (
        ("all items", report["ours"]),
        *((f"{f['left_out']:.0%} left out {f['filter']}", f) for f in report["filtered"]),
    ):
        if figures["recall_500"] < LEAST_RECALL:
            told.append(f"{name}: recall at 500 is {figures['recall_500']}, less than {LEAST_RECALL}")
    short = [f for f in report["filtered"] if f["fewest"] < min(COUNT, f["allowed"])]
    return told + [
        f"{f['left_out']:.0%} left out {f['filter']}: only {f['fewest']} of {COUNT} came back" for f in short
    ]
