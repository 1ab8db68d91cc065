"""What the gates cost: the share of a batch's seconds that is gone without them, at sixteen times the data.

A batch is bronze, silver and gold of one cut, its training set, and its materialization. The same cut is run with its gates
and without them in turn, so that all they need is counted: their own figures, the columns made for them, Great
Expectations and its documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from statistics import median
from typing import Any

from contracts.adapters.wire import Source
from contracts.cuts import days_between
from contracts.settings import PORTS, Settings
from infra.adapt import adapt_range
from infra.bench.batch import redis_of
from infra.bench.steps import Step, cost_of
from infra.faults import trial
from infra.faults.fault import FaultError
from infra.faults.plan import COPIES, COST_FROM, COST_ON, ROUNDS, Larger
from infra.faults.rehearsal import Rehearsal, rehearsal

JOBS = ("bronze", "silver", "gold")
AFTER = (
    Step("training_set", "feature_repo", ("training-set", "--cut", COST_ON.isoformat())),
    Step("materialize", "feature_repo", ("materialize", "--cut", COST_ON.isoformat())),
)
Seconds = Mapping[str, float]
"""Job → seconds."""


def measure(settings: Settings, source: Source) -> dict[str, Any]:
    """Run the larger shop's days in one go, then the last one again and again.

    The days before run without gates, which would refuse them: sixteen equal shops are as uneven as one, with sixteen times the
    counts that make a difference look certain.

    Raises:
        FaultError: a gate refuses the day, so that there is nothing to measure.
    """
    base = settings.port_base + len(PORTS)
    own = replace(settings, var=settings.var / f"{COPIES}x", port_base=base)
    own.lake.mkdir(parents=True)
    counts = adapt_range(own.days, Larger(source, COPIES), days_between(COST_FROM, COST_ON))
    with rehearsal(own, source.name) as spark:
        spark.run(JOBS, COST_FROM, COST_ON - timedelta(days=1), gated=False)
        _both(spark)  # warm classes
        before = len(trial.judged(own))
        runs = [_both(spark) for _ in range(ROUNDS)]
        gates = trial.judged(own)[before:]
    with redis_of(own):
        after = {step.name: cost_of(own, step).seconds for step in AFTER}
    figures = {"copies": COPIES, "events": counts[COST_ON].events, "rounds": ROUNDS}
    return cost_figures(runs, after, gates, figures)


def _both(spark: Rehearsal) -> tuple[Seconds, Seconds]:
    """Seconds of the cut with its gates and without."""
    gated, bare = (spark.run(JOBS, COST_ON, COST_ON, gated=gated) for gated in (True, False))
    if gated.code:
        raise FaultError(f"the larger shop is refused: {gated.error}")
    return gated.seconds, bare.seconds


def cost_figures(
    runs: Sequence[tuple[Seconds, Seconds]],
    after: Seconds,
    gates: Sequence[Mapping[str, Any]],
    size: dict[str, Any],
) -> dict[str, Any]:
    """The report's figures: medians over the rounds.

    Args:
        runs: of each round the seconds with the gates and without.
        after: what the batch does then, which no gate is in.
        gates: what was logged of each gate that judged.
    """
    with_gates, without = (_medians([pair[n] for pair in runs]) for n in (0, 1))
    saved = [sum(gated.values()) - sum(bare.values()) for gated, bare in runs]
    judged = [sum(gated.values()) for gated, _ in runs]
    rest = sum(after.values())
    own = {line["gate"]: [one["seconds"] for one in gates if one["gate"] == line["gate"]] for line in gates}
    return {
        "gate_cost_ratio": round(_share(saved, [seconds + rest for seconds in judged]), 4),
        "gate_cost": size
        | {
            "seconds_of_each_round": [round(seconds, 3) for seconds in saved],
            "batch_seconds": {**with_gates, **after},
            "seconds_without_gates": without,
            "share_of_gated_jobs": round(_share(saved, judged), 4),
            "judging_seconds": {gate: round(median(seconds), 3) for gate, seconds in own.items()},
        },
    }


def _share(saved: Sequence[float], whole: Sequence[float]) -> float:
    return median(gone / seconds for gone, seconds in zip(saved, whole, strict=True))


def _medians(runs: Sequence[Seconds]) -> dict[str, float]:
    return {job: round(median(run[job] for run in runs), 3) for job in runs[0]}
