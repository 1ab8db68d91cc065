"""The request path's part of `make chaos`: its dependencies broken, too much asked, its catalog changing, its snapshot damaged."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from contracts.settings import PORTS, Settings
from infra.chaos import artifacts, requests, shelf
from infra.chaos.requests import RequestPlan
from infra.demo.progress import Progress

UPDATES, UPDATES_PER_SECOND = 10_000, 500
DAMAGED = 1_000


def run(settings: Settings, seed: int, plan: RequestPlan, progress: Progress) -> dict[str, Any]:
    """Every part; the figures, and which promises they do not keep.

    Raises:
        BraidError: the stack or the scorer did not start.
    """
    own = replace(settings, var=settings.var / "chaos-requests", port_base=settings.port_base + len(PORTS))
    shutil.rmtree(own.var, ignore_errors=True)
    with requests.between(own) as broken:
        with progress.step("dependencies", "Redis and Kafka down, slow, garbled, flapping under load"):
            scorer = requests.run_cases(broken, plan, progress)
        with progress.step("overload", f"{plan.times:g} times what the scorer can"):
            overload = requests.run_overload(broken, plan)
        with progress.step("catalog", f"{UPDATES:,} catalog updates under load"):
            catalog = shelf.run_updates(broken, UPDATES, UPDATES_PER_SECOND, plan.rate)
    with progress.step("artifacts", f"{DAMAGED:,} damaged snapshots"):
        damaged = artifacts.run_damages(own.var / "damaged", DAMAGED, seed)
    found = [*requests.broken_promises(scorer, overload, plan.times), *shelf.broken_promises(catalog)]
    if damaged["refused"] < damaged["damaged"]:
        found.append(f"of {damaged['damaged']} damaged snapshots {damaged['opened']} were opened")
    if not found:
        shutil.rmtree(own.var)
    return {
        "requests_plan": asdict(plan),
        "scorer": scorer,
        "overload": overload,
        "catalog": catalog,
        "artifacts": damaged,
        "broken": found,
    }


def told(report: Mapping[str, Any]) -> str:
    """What was found, in some lines."""
    scorer, overload, catalog = (report[name] for name in ("scorer", "overload", "catalog"))
    damaged = report["artifacts"]
    return (
        f"{scorer['requests']:,} requests while Redis or Kafka was broken in {len(scorer['cases'])} ways: {scorer['non_2xx']} failed, "
        f"p99 {scorer['degraded_p99_ms']} ms at worst, whole again after {scorer['back_to_full_s']} s at most\n"
        f"{overload['asked_rps']} requests/s where {overload['capacity_rps']} can be answered: {overload['goodput_rps']} answered "
        f"({overload['goodput_ratio']}), of product pages {overload['priority_served']:.2%} wholly\n"
        f"{catalog['updates']:,} updates, {catalog['answers']:,} answers beside them: {catalog['violations']} items otherwise than was "
        f"known; an update counts after {catalog['effect_ms']['p50']} ms p50, {catalog['effect_ms']['p99']} ms p99\n"
        f"{damaged['damaged']:,} damaged snapshots: {damaged['refused']:,} refused"
    )
