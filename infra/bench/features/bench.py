"""The three parts on one Redis of the bench's own → bench-features.json."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from typing import Any

import feast

from contracts.engines import MASTER
from contracts.reports import provenance
from contracts.settings import Settings
from feature_repo.session import spark_session
from infra.bench.batch import lake, redis_of
from infra.bench.features import contended, figures, materialize, reads
from infra.bench.features.plan import Plan
from infra.demo.progress import Progress


def run(settings: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Start Redis and Spark, measure, and return the report.

    Raises:
        BraidError: a process that is measured did not start, or ended early.
    """
    own = lake(settings, "features")
    shutil.rmtree(own.var, ignore_errors=True)
    with redis_of(own), quiet(own, progress):
        # Reads first: no Spark beside them.
        parts = {
            "read": reads.measure(own, plan, progress),
            "contended": contended.measure(own, plan, progress),
        }
        with spark_session(own):
            parts["materialize"] = materialize.measure(own, plan, progress)
    shutil.rmtree(own.var)
    return report_of(plan, parts, progress.elapsed)


def report_of(plan: Plan, parts: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The report of the three parts."""
    return {
        **provenance(),
        "peer": f"Feast {feast.__version__}: provider local, online store redis, offline store spark",
        "spark_master": MASTER,
        "plan": asdict(plan),
        **{name: parts[name] for name in ("materialize", "contended", "read")},
        "broken": figures.broken(parts),
        "seconds": round(seconds, 1),
    }


@contextmanager
def quiet(own: Settings, progress: Progress) -> Iterator[None]:
    """Feast's own lines go to a log: it warns of its Spark store at every step. What `progress` says is still shown."""
    console = progress.console
    # It looks for stdout whenever it prints; from here on it keeps what it found.
    console.file = console.file
    log = own.logs / "feast.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output, redirect_stdout(output), redirect_stderr(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
