"""`make demo`: the whole loop on real data, from the source's files to one shopper's changed list."""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from contracts.adapters.made_up import MADE_UP
from contracts.clock import clear_replay_clock
from contracts.errors import BraidError
from contracts.reports import provenance
from contracts.settings import Settings, from_environment
from infra.airflow.client import DagRun
from infra.demo import browser, load, model, replay, report, story
from infra.demo.batch import Batch
from infra.demo.client import ScorerClient
from infra.demo.counts import Losses, events_seen_online, lost_and_duplicated
from infra.demo.memory import MemoryWatch
from infra.demo.plan import HOW_TO_GET_THE_DATA, Plan, plan_for
from infra.demo.progress import Progress
from infra.demo.promises import broken_promises, missed_aims
from infra.demo.state import Backfill, wipe
from infra.demo.topics import wait_for
from infra.publish import read_day_wire
from infra.stack import LocalStack
from infra.stack.units import every_name


def main() -> int:
    """Run the demo; 0 when every promise of its report is kept."""
    settings, console = from_environment(), Console()
    plan = plan_for(settings)
    if not plan.real:
        console.print(HOW_TO_GET_THE_DATA, style="yellow", highlight=False)
    stack = LocalStack(settings)
    try:
        with MemoryWatch(settings) as memory:
            figures, told = run(settings, plan, stack, Progress(console), memory)
    except BraidError as error:
        console.print(f"The demo stopped: {error}", style="bold red", highlight=False)
        return 1
    finally:
        clear_replay_clock(settings.clock_file)
        stack.down()
    figures |= {"broken": broken_promises(figures), "missed": missed_aims(figures)}
    report.show(console, figures, report.write(settings, figures, told))
    return 1 if figures["broken"] else 0


def run(
    settings: Settings, plan: Plan, stack: LocalStack, progress: Progress, memory: MemoryWatch
) -> tuple[report.Report, story.Story]:
    """Every step in its order; returns the report and the shopper's story."""
    batch = Batch(settings, plan)
    with progress.step("clean", "Removing an earlier demo's state"):
        stack.down()
        wipe(settings)
    _backfill(settings, plan, stack, batch, progress)
    with progress.step("training_set", "Joining label rows and features point in time (Feast on Spark)"):
        batch.training_set()
    with (
        _stack_in_background(stack),
        progress.step("train", "Training the two-tower beside its baselines; starting the stack"),
    ):
        batch.train()
    model_figures = model.figures(settings)
    progress.say(f"{model_figures['serves']} serves: Recall@20 {model_figures['recall_at_20']:.3f}")
    for cut in plan.dag_days:
        with progress.step(f"daily_{cut}", f"Day {cut} through Kafka, then its DAG through Airflow"):
            done = batch.daily(cut)
        progress.say(
            f"{done.state}: " + ", ".join(f"{name} {task.seconds:.0f} s" for name, task in done.tasks.items())
        )
    wait_for("the scorer is ready", ScorerClient(settings).ready)
    with progress.step("replay", f"Replaying {plan.replay_on} through Kafka while the scorer is asked"):
        day = read_day_wire(settings, plan.source, plan.replay_on)
        lift = replay.replay(settings, day)
    progress.say(
        f"HR@20 of the next added item: {lift.hr20_updated:.3f} updated, {lift.hr20_start:.3f} from start"
    )
    with progress.step("load", "Load: 600 events/s and 95 requests/s, then a burst"):
        loaded = load.run_load(settings, plan)
    with progress.step("story", "One shopper, two events"):
        told = story.tell(settings, plan, day)
    story.show(progress.console, told)
    with progress.step("shop", "A person in the shop's page (Chromium): one click"):
        walked = browser.walk(settings)
    online = events_seen_online(settings, loaded.produced)
    with progress.step("refused_day", f"Day {plan.refused_on} with prices × 100: the gate must refuse it"):
        refused, stays = batch.refused_day()
    progress.say(f"{refused.state} at {_failed_task(refused)}; yesterday stays online: {stays}")
    with progress.step("checks", "Recomputing every decision and every count from Delta (Spark)"):
        checks = batch.checks()
    with progress.step("export_again", "Making the lists again, to the same bytes"):
        identical = batch.export_again()
    backfilled = json.loads(batch.backfill_report.read_text())
    return {
        **provenance(),
        "seconds": round(progress.elapsed, 1),
        "data": _data(settings, plan, batch),
        "batch": {
            "seconds": {**progress.seconds, **{f"backfill_{k}": v for k, v in backfilled["seconds"].items()}},
            "gates": _gates(settings, batch),
            "dag_runs": [_shown(run) for run in batch.dag_runs],
            "yesterday_stays": stays,
        },
        "model": model_figures,
        "stream": _stream(loaded, online, checks),
        "freshness_ms": loaded.paced["freshness_ms"],
        "requests": loaded.requests,
        "session_lift": {
            "targets": lift.targets,
            "hr20_updated": round(lift.hr20_updated, 4),
            "hr20_start": round(lift.hr20_start, 4),
        },
        "export": {**_export(batch), "identical_on_rerun": identical},
        "parity": checks["parity"],
        "story": {"changed": told.changed, "waited_ms": list(told.waited_ms)},
        "shop": {"changed": walked.changed, "waited_ms": walked.waited_ms},
        "memory_mib": memory.peak_mib,
    }, told


def _backfill(settings: Settings, plan: Plan, stack: LocalStack, batch: Batch, progress: Progress) -> None:
    """The tables of the past: the kept ones where nothing they came from changed, else made."""
    kept = Backfill(settings, plan)
    if kept.holds():
        with progress.step(
            "backfill", f"Restoring the kept backfill {plan.backfill_from} to {plan.backfill_to}"
        ):
            kept.restore(batch.backfill_report)
            stack.up(["spark-driver"])
        return
    with progress.step("day_files", f"{plan.source}: day files {plan.backfill_from} to {plan.backfill_to}"):
        batch.day_files()
    with progress.step("backfill", "Bronze, silver and gold of every day (Spark, Delta, Great Expectations)"):
        stack.up(["spark-driver"])
        batch.backfill()


@contextmanager
def _stack_in_background(stack: LocalStack) -> Iterator[None]:
    """Start the whole stack beside the body; its error is raised when the body is done."""
    errors: list[BaseException] = []

    def up() -> None:
        try:
            stack.up(every_name())
        except BaseException as error:  # handed to the thread that waits
            errors.append(error)

    thread = threading.Thread(target=up)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if errors:
        raise errors[0]


def _failed_task(run: DagRun) -> str:
    return next((name for name, task in run.tasks.items() if task.state == "failed"), "no task")


def _shown(run: DagRun) -> report.Report:
    return {
        "cut": run.cut.isoformat(),
        "state": run.state,
        "seconds": round(run.seconds, 1),
        "task_seconds": {name: round(task.seconds, 1) for name, task in run.tasks.items()},
        "task_states": {name: task.state for name, task in run.tasks.items()},
    }


def _data(settings: Settings, plan: Plan, batch: Batch) -> report.Report:
    """What was read: the backfill's day files and the days sent through Kafka."""
    counts = json.loads((settings.days / plan.source / "counts.json").read_text())
    rejected = Counter[str]()
    for refused in (*(day["rejected"] for day in counts.values()), *(day.refused for day in batch.published)):
        rejected.update(refused)
    events = sum(day["events"] for day in counts.values()) + sum(day.events for day in batch.published)
    return {
        "source": plan.source,
        "real": plan.real,
        "notice": "" if plan.real else HOW_TO_GET_THE_DATA,
        "events": events,
        "rejected": dict(rejected.most_common()),
        "made_up": [f"{what}: {how}" for what, how in MADE_UP[plan.source].items()],
    }


def _gates(settings: Settings, batch: Batch) -> report.Report:
    """Gates of the backfill and of the daily runs, from the gates' own log."""
    log = settings.lake / "_gates.jsonl"
    results = [json.loads(line) for line in log.read_text().splitlines()]
    failed = [result for result in results if not result["passed"]]
    planted = batch.plan.refused_on.isoformat()
    only_planted = all(result["cut"] == planted for result in failed)
    caught = only_planted and any(result["rule"] == "price_jump_share" for result in failed)
    return {"passed": len(results) - len(failed), "failed": len(failed), "planted_caught": int(caught)}


def _stream(loaded: load.LoadFigures, online: dict[str, int], checks: report.Report) -> report.Report:
    by_delta: dict[str, int] = checks["session_counts"]
    losses: tuple[Losses, ...] = (
        lost_and_duplicated(loaded.produced, online),
        lost_and_duplicated(by_delta, online),
    )
    return {
        "events": sum(loaded.produced.values()),
        "events_in_delta": sum(by_delta.values()),
        "events_per_second": loaded.burst["events_per_second"],
        "paced_events_per_second": loaded.paced["events_per_second"],
        "lost": max(loss.lost for loss in losses),
        "duplicated": max(loss.duplicated for loss in losses),
    }


def _export(batch: Batch) -> report.Report:
    manifest = batch.export_manifest()
    return {"users": manifest["users"], "rows": manifest["rows"]}


if __name__ == "__main__":
    sys.exit(main())
