"""What the gates cost: their share of the batch's seconds at sixteen times the data."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from contracts.adapters.wire import Source
from contracts.cuts import days_between
from contracts.settings import Settings
from infra.adapt import adapt_range
from infra.faults import trial
from infra.faults.plan import COPIES, COST_FROM, COST_ON, Larger
from infra.faults.rehearsal import rehearsal

JOBS = ("bronze", "silver", "gold")


def measure(settings: Settings, source: Source) -> dict[str, Any]:
    """Run days of the larger shop one by one; the last one, with warm classes and a full gate log, is the figure."""
    own = replace(settings, var=settings.var / f"{COPIES}x")
    own.lake.mkdir(parents=True)
    larger = Larger(source, COPIES)
    counts = adapt_range(own.days, larger, days_between(COST_FROM, COST_ON))
    with rehearsal(own, source.name) as spark:
        spark.run(JOBS, COST_FROM, COST_ON - timedelta(days=1))
        before = len(trial.judged(own))
        answer = spark.run(JOBS, COST_ON, COST_ON)
        gates = trial.judged(own)[before:]
    batch = sum(answer.seconds.values())
    by_gate = {line["gate"]: line["seconds"] for line in gates}
    return {
        "gate_cost_ratio": round(sum(by_gate.values()) / batch, 4),
        "gate_cost": {
            "copies": COPIES,
            "events": counts[COST_ON].events,
            "batch_seconds": answer.seconds,
            "gate_seconds": by_gate,
        },
    }
