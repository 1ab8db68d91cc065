"""The scorer at other sizes of the catalog, by one worker and by two."""

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
    memory,
    ready_again,
    wait_for_version,
    wait_for_workers,
    warm_up,
)
from infra.demo.progress import Progress
from infra.stack import LocalStack

SWAP_SECONDS = 120.0
WORKERS = 2


def grown(own: Settings, plan: Plan, items: int, bodies: Path, progress: Progress) -> dict[str, Any]:
    """One worker after a catalog of another size was swapped in while it was asked."""
    asked = Asked(own, own.port("scorer"), "/v1/placements/product:recommend", bodies)
    with progress.step(f"items_{items}", f"{items:,} items"):
        with ThreadPoolExecutor(1) as pool:
            # The load begins first, so that every moment of the swap is asked in.
            swapping = pool.submit(asked.open_loop, ONE_CLIENT_RATE, SWAP_SECONDS, 2)
            version = catalog.publish(own.serving, items)
            began = time.perf_counter()
            wait_for_version(own, version)
            swap_s = time.perf_counter() - began
            swap = swapping.result()
        leg = measured(own, plan, items, asked)
    return {
        **leg,
        "swap": {"seconds": round(swap_s, 1), "non_2xx": swap["non_2xx"], "p99_ms": swap["p99_ms"]},
    }


def by_two(own: Settings, plan: Plan, items: int, bodies: Path, progress: Progress) -> dict[str, Any]:
    """The catalog that serves, asked of two workers; afterwards one serves it again."""
    several = replace(own, scorer_workers=WORKERS)
    with progress.step(f"items_{items}_workers_{WORKERS}", f"{items:,} items by {WORKERS} workers"):
        ready_s = ready_again(several, LocalStack(several))
        wait_for_workers(several)
        asked = Asked(several, several.port("scorer"), "/v1/placements/product:recommend", bodies)
        warm_up(asked)
        leg = measured(several, plan, items, asked)
        ready_again(own, LocalStack(own))
    return {**leg, "ready_s": ready_s}


def measured(own: Settings, plan: Plan, items: int, asked: Asked) -> dict[str, Any]:
    """One client, then as many requests as are answered."""
    one = asked.open_loop(ONE_CLIENT_RATE, plan.seconds, 1)
    many = asked.closed_loop(plan.seconds, MANY)
    return {
        "items": items,
        "workers": own.scorer_workers,
        "one_client": one,
        "capacity_rps": many["requests_per_second"],
        "non_2xx": one["non_2xx"] + many["non_2xx"],
        "memory_mib": memory(own),
    }
