"""The demo's batch half: backfill, training, the daily DAG through Airflow, the refused day, the checks."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from contracts.settings import Settings
from infra.airflow.client import DagRun, run_daily
from infra.demo.plan import PRICE_FACTOR, Plan
from infra.demo.process import run_step
from infra.demo.state import Backfill
from infra.demo.topics import wait_until_passed
from infra.publish import Published, publish_day


@dataclass(slots=True)
class Batch:
    """Runs the batch steps and remembers what they reported."""

    settings: Settings
    plan: Plan
    dag_runs: list[DagRun] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)

    @property
    def backfill_report(self) -> Path:
        return self.settings.run / "backfill.json"

    def day_files(self) -> None:
        """Source files → validated day files for the backfill."""
        plan = self.plan
        span = ("--from", plan.backfill_from.isoformat(), "--to", plan.backfill_to.isoformat())
        run_step(self.settings, "adapt", "infra.adapt", plan.source, *span)

    def backfill(self) -> None:
        """Every table of the range in one Spark application; kept for the next demo."""
        plan = self.plan
        self.settings.run.mkdir(parents=True, exist_ok=True)
        arguments = [
            *("--jobs", "bronze,silver,gold", "--source", f"days:{plan.source}"),
            *("--from", plan.backfill_from.isoformat(), "--cut", plan.backfill_to.isoformat()),
            *("--report", str(self.backfill_report)),
        ]
        run_step(self.settings, "backfill", "spark_jobs", *arguments)
        Backfill(self.settings, plan).keep(self.backfill_report)

    def training_set(self) -> None:
        """Feast's point-in-time join of the label rows."""
        cut = self.plan.backfill_to.isoformat()
        run_step(self.settings, "training-set", "feature_repo", "training-set", "--cut", cut)

    def train(self) -> None:
        """The two-tower and its baselines; the best that the gate lets pass becomes champion."""
        run_step(self.settings, "train", "models", "train", "--cut", self.plan.backfill_to.isoformat())

    def daily(self, cut: date, price_factor: int = 1) -> DagRun:
        """Send the day's events through Kafka, then run its DAG through Airflow."""
        sent = publish_day(self.settings, self.plan.source, cut, price_factor=price_factor)
        self.published.append(sent)
        wait_until_passed(self.settings, sent.events)
        run = run_daily(self.settings, cut)
        self.dag_runs.append(run)
        return run

    def refused_day(self) -> tuple[DagRun, bool]:
        """The day with planted prices: its run, and whether yesterday stayed online untouched."""
        before = self._served()
        run = self.daily(self.plan.refused_on, PRICE_FACTOR)
        return run, before == self._served()

    def checks(self) -> dict[str, Any]:
        """Recompute every decision and count the load's events from Delta."""
        report = self.settings.run / "checks.json"
        jobs = "bronze,decisions,check_decisions,session_counts"
        cut = self.plan.load_at.date().isoformat()
        run_step(self.settings, "checks", "spark_jobs", "--jobs", jobs, "--cut", cut, "--report", str(report))
        found: dict[str, Any] = json.loads(report.read_text())
        return found

    def export_again(self) -> bool:
        """Delete the last lists, make them again in a new process: the same bytes?"""
        cut = self.plan.served_cut.isoformat()
        folder = self.settings.exports / cut
        before = _bytes_of(folder)
        shutil.rmtree(folder)
        run_step(self.settings, "export-again", "spark_jobs", "--jobs", "lists", "--cut", cut)
        return bool(before) and before == _bytes_of(folder)

    def export_manifest(self) -> dict[str, Any]:
        path = self.settings.exports / self.plan.served_cut.isoformat() / "manifest.json"
        manifest: dict[str, Any] = json.loads(path.read_text())
        return manifest

    def _served(self) -> tuple[str, list[str]]:
        """What serves: the snapshot's version, and which days silver holds."""
        silver = self.settings.lake / "silver_events"
        current = (self.settings.serving / "current.json").read_text()
        return current, sorted(day.name for day in silver.glob("event_on=*"))


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
