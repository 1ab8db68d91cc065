"""The scorer at one size of the catalog after the other, by one worker and by two."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from contracts.settings import Settings
from infra.bench.scorer import catalog
from infra.bench.scorer.plan import Plan
from infra.bench.scorer.server import (
    MANY,
    ONE_CLIENT_RATE,
    Asked,
    cores_used,
    cpu_seconds,
    memory,
    per_stage,
    ready_again,
    stack_processes,
    stages,
    wait_for_version,
    wait_for_workers,
    warm_up,
)
from infra.demo.progress import Progress
from infra.stack import LocalStack
from models.decide.artifacts import set_current

BEFORE_SECONDS, SWAP_SECONDS = 5.0, 60.0
"""So long is asked before another catalog is made current, and in all."""
WORKERS = 2
SHARE, CONNECTIONS = 0.7, 24


def grown(own: Settings, plan: Plan, items: int, bodies: Path, progress: Progress) -> dict[str, Any]:
    """One worker after a catalog of another size was swapped in while it was asked."""
    asked = of_product(own, bodies)
    with progress.step(f"items_{items}", f"{items:,} items"):
        with ThreadPoolExecutor(1) as pool:
            version = catalog.write(own.serving, items)
            # The load begins first, so that every moment of the swap is asked in.
            swapping = pool.submit(asked.open_loop, ONE_CLIENT_RATE, SWAP_SECONDS, 2)
            time.sleep(BEFORE_SECONDS)
            set_current(own.serving, version)
            began = time.perf_counter()
            wait_for_version(own, version)
            swap_s = time.perf_counter() - began
            asked_in = not swapping.done()
            swap = swapping.result()
        leg = measured(own, plan, items, asked)
    return {
        **leg,
        "swap": {
            "seconds": round(swap_s, 1),
            "asked_in": asked_in,
            "non_2xx": swap["non_2xx"],
            "p99_ms": swap["p99_ms"],
        },
    }


def by_two(own: Settings, plan: Plan, items: int, bodies: Path, progress: Progress) -> dict[str, Any]:
    """The catalog that serves, asked of two workers; afterwards one serves it again."""
    several = replace(own, scorer_workers=WORKERS)
    with progress.step(f"items_{items}_workers_{WORKERS}", f"{items:,} items by {WORKERS} workers"):
        ready_s = ready_again(several, LocalStack(several))
        wait_for_workers(several)
        asked = of_product(several, bodies)
        warm_up(asked)
        leg = measured(several, plan, items, asked)
        ready_again(own, LocalStack(own))
    return {**leg, "ready_s": ready_s}


def of_product(own: Settings, bodies: Path) -> Asked:
    """The scorer, asked for the lists of products' pages."""
    return Asked(own, own.port("scorer"), "/v1/placements/product:recommend", bodies)


def measured(own: Settings, plan: Plan, items: int, asked: Asked) -> dict[str, Any]:
    """One client, then as many requests as are answered, then 70 % of them."""
    before = stages(own)
    one, cores = cores_used(stack_processes(own), lambda: asked.open_loop(ONE_CLIENT_RATE, plan.seconds, 1))
    staged = per_stage(before, stages(own))
    used = cpu_seconds(own)
    many = asked.closed_loop(plan.seconds, MANY)
    used = cpu_seconds(own) - used
    busy = asked.open_loop(SHARE * many["requests_per_second"], plan.seconds, CONNECTIONS)
    return {
        "items": items,
        "workers": own.scorer_workers,
        "one_client": one,
        "stages_ms": staged,
        "cores": cores,
        "capacity_rps": many["requests_per_second"],
        "at_70_percent": busy,
        "cpu_seconds_per_million": round(used / many["count"] * 1e6),
        "memory_mib": memory(own),
        "non_2xx": one["non_2xx"] + many["non_2xx"] + busy["non_2xx"],
    }
