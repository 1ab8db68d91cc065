"""`make chaos`: the stream's processes killed under load, then everything compared, then rebuilt; what requests depend on broken → var/reports/chaos.json.

`--only` makes one part; the other's figures stay as they were.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from contracts.errors import BraidError
from contracts.reports import provenance, write_report
from contracts.settings import PORTS, ROOT, TOPICS, Settings, from_environment
from infra.chaos import request_path
from infra.chaos.check import Found, check, content
from infra.chaos.killing import UNITS, Killed, Killer
from infra.chaos.plan import CHECKPOINT, Plan
from infra.chaos.requests import RequestPlan
from infra.demo.process import run_step
from infra.demo.progress import Progress
from infra.demo.topics import count, wait_for
from infra.parity.topics import wait_until_quiet
from infra.stack import LocalStack
from infra.stack.units import environment

HEAP = "2g"
MOST_RECOVERY_SECONDS = 30.0
LEAST_KILLS, LEAST_IN_CHECKPOINT = 20, 5
WARM_SECONDS = 20.0
THROUGH_SECONDS = 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when the stack did not come back or a promise is broken."""
    options, settings, console = _parser().parse_args(arguments), from_environment(), Console()
    plan = Plan(options.seed, options.kills, options.rate, options.sessions)
    path = settings.reports / "chaos.json"
    report = json.loads(path.read_text()) if path.is_file() else {}
    parts = {
        "stream": (partial(run, settings, plan), show),
        "requests": (partial(request_path.run, settings, plan.seed, RequestPlan()), show_requests),
    }
    for name in options.only or parts:
        make, tell = parts[name]
        try:
            made = make(Progress(console))
        except BraidError as error:
            console.print(f"Chaos stopped: {error}", style="bold red", highlight=False)
            return 1
        sections = {**report.get("made", {}), name: {**provenance(), "broken": made["broken"]}}
        everything = [promise for section in sections.values() for promise in section["broken"]]
        report = {**report, **made, "made": sections, "broken": everything}
        write_report(path, report)
        tell(console, made)
    console.print(f"{path}", highlight=False, soft_wrap=True)
    return 1 if report["broken"] else 0


def run(settings: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Load, kills, comparison, rebuild; returns the report.

    Raises:
        BraidError: the stack did not come back, or a step failed.
    """
    own = replace(
        settings, var=settings.var / "chaos", port_base=settings.port_base + len(PORTS), stream_heap=HEAP
    )
    shutil.rmtree(own.var, ignore_errors=True)
    stack = LocalStack(own)
    try:
        with progress.step("up", "The stack of the stream"):
            stack.up(list(UNITS))
        killed, sent = _under_load(own, plan, Killer(own, stack), progress)
        with progress.step("check", "Every row against a recomputation from the log"):
            found = check(own, sent["produced"])
        rebuilt = {what: _rebuilt(own, what, progress) for what in ("online", "features", "view session")}
    finally:
        stack.down()
    report = _report(plan, killed, sent, found, rebuilt)
    shutil.rmtree(own.var)
    return report


def _under_load(
    own: Settings, plan: Plan, killer: Killer, progress: Progress
) -> tuple[list[Killed], Mapping[str, Any]]:
    killed: list[Killed] = []
    with _load(own, plan) as file:
        time.sleep(WARM_SECONDS)
        for number, kill in enumerate(plan.schedule()):
            time.sleep(kill.after_seconds)
            killed.append(killer.kill(kill, number))
            last = killed[-1]
            inside = f", {CHECKPOINT}" if last.in_checkpoint else ""
            how = f" {last.how}" if last.how not in ("", CHECKPOINT) else ""
            progress.say(f"{number + 1}: {last.unit}{how}{inside}: readable again after {last.seconds} s")
    sent = json.loads(file.read_text())
    with progress.step("through", "What was sent passes through"):
        wait_for(
            "the gateway has moved every event",
            lambda: (
                count(own, TOPICS.events) + count(own, TOPICS.rejected_events)
                >= count(own, TOPICS.events_raw)
            ),
            THROUGH_SECONDS,
        )
        wait_until_quiet(own, [TOPICS.online_features])
        run_step(own, "rebuild", "infra.rebuild", "online")
    return killed, sent


@contextmanager
def _load(own: Settings, plan: Plan) -> Iterator[Any]:
    """The load beside the kills; on leaving it is told to stop and has written its report."""
    file = own.run / "chaos-load.json"
    arguments = ["--rate", plan.rate, "--sessions", plan.sessions, "--seed", plan.seed, "--report", file]
    own.logs.mkdir(parents=True, exist_ok=True)
    with (own.logs / "load.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.chaos.load", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **environment(own)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield file
        finally:
            process.terminate()
            code = process.wait()
    if code != 0:
        raise BraidError(f"the load ended with code {code}: see {own.logs / 'load.log'}")


def _rebuilt(own: Settings, what: str, progress: Progress) -> dict[str, Any]:
    """Lose it, make it again by its command, compare."""
    before = content(own)
    with progress.step(f"rebuild_{what.split(maxsplit=1)[0]}", f"Lost and made again: {what}"):
        if what == "online":
            _flush(own)
        seconds = run_step(own, "rebuild", "infra.rebuild", *what.split())
    after = content(own)
    different = sum(before.get(key) != after.get(key) for key in before.keys() | after.keys())
    return {"seconds": round(seconds, 1), "keys": len(before), "differences": different}


def _flush(own: Settings) -> None:
    from redis import Redis

    Redis.from_url(own.redis_url).flushall()


def _report(
    plan: Plan,
    killed: Sequence[Killed],
    sent: Mapping[str, Any],
    found: Found,
    rebuilt: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    seconds = [one.seconds for one in killed]
    by_unit = {
        name: [one.seconds for one in killed if f"{one.unit} {one.how}".strip() == name]
        for name in _names(killed)
    }
    stream = {
        "kills": len(killed),
        "kills_in_checkpoint": sum(one.in_checkpoint for one in killed),
        "events": sent["events"],
        "events_per_second": round(sent["events"] / sent["seconds"], 1),
        "late": sent["late"],
        "sent_twice": sent["twice"],
        "rows": found.rows,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "state_differences": found.differences,
        "examples": found.examples,
        "recovery_s": {
            name: round(float(np.percentile(seconds, at)), 2) for name, at in (("p50", 50), ("p95", 95))
        },
        "recovery_s_by_unit": by_unit,
    }
    rebuild = {
        "seconds": rebuilt["online"]["seconds"],
        "differences": sum(one["differences"] for one in rebuilt.values()),
        "each": rebuilt,
    }
    return {
        "seed": plan.seed,
        "plan": asdict(plan),
        "stream": stream,
        "rebuild": rebuild,
        "kills": [asdict(one) for one in killed],
        "broken": broken(plan, stream, rebuild),
    }


def _names(killed: Sequence[Killed]) -> list[str]:
    return sorted({f"{one.unit} {one.how}".strip() for one in killed})


def broken(plan: Plan, stream: Mapping[str, Any], rebuild: Mapping[str, Any]) -> list[str]:
    """Promises that the figures do not keep."""
    zeros = {name: stream[name] for name in ("lost", "duplicated", "state_differences")}
    zeros["rebuild.differences"] = rebuild["differences"]
    found = [f"{name} is {value}, not 0" for name, value in zeros.items() if value]
    if stream["recovery_s"]["p95"] > MOST_RECOVERY_SECONDS:
        found.append(f"recovery_s.p95 {stream['recovery_s']['p95']} is above {MOST_RECOVERY_SECONDS:g}")
    if stream["kills"] < min(LEAST_KILLS, plan.kills):
        found.append(f"{stream['kills']} kills, fewer than {LEAST_KILLS}")
    if plan.kills >= LEAST_KILLS and stream["kills_in_checkpoint"] < LEAST_IN_CHECKPOINT:
        found.append(
            f"{stream['kills_in_checkpoint']} kills inside a checkpoint, fewer than {LEAST_IN_CHECKPOINT}"
        )
    if stream["events_per_second"] < 0.99 * plan.rate:
        found.append(f"{stream['events_per_second']} events/s, fewer than {plan.rate:,}")
    return found


def show_requests(console: Console, report: Mapping[str, Any]) -> None:
    """What requests got, and what is broken."""
    console.print(request_path.told(report), highlight=False)
    _show_broken(console, report["broken"])


def _show_broken(console: Console, promises: Sequence[str]) -> None:
    for promise in promises:
        console.print(f"BROKEN: {promise}", style="bold red", highlight=False)


def show(console: Console, report: Mapping[str, Any]) -> None:
    """What was killed and how long it took, and what is broken."""
    stream, rebuild = report["stream"], report["rebuild"]
    table = Table(
        title=f"Seed {report['seed']}: {stream['kills']} kills, {stream['kills_in_checkpoint']} inside a checkpoint"
    )
    for name in ("killed", "seconds until an event of after it was readable"):
        table.add_column(name)
    for name, seconds in stream["recovery_s_by_unit"].items():
        table.add_row(name, ", ".join(map(str, seconds)))
    console.print(table)
    console.print(
        f"{stream['events']:,} events at {stream['events_per_second']:,}/s, {stream['late']:,} late, {stream['sent_twice']:,} "
        f"sent twice: lost {stream['lost']}, duplicated {stream['duplicated']}; of {stream['rows']:,} rows "
        f"{stream['state_differences']} differ\nrecovery {stream['recovery_s']['p50']} s p50, {stream['recovery_s']['p95']} s "
        f"p95; rebuilt in {rebuild['seconds']} s, {rebuild['differences']} keys differ",
        highlight=False,
    )
    for line in stream["examples"]:
        console.print(line, style="bold red", highlight=False)
    _show_broken(console, report["broken"])


def _parser() -> argparse.ArgumentParser:
    plan = Plan(0)
    parser = argparse.ArgumentParser(prog="infra.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of the moments; a new one each time"
    )
    parser.add_argument("--kills", type=int, default=plan.kills)
    parser.add_argument("--rate", type=int, default=plan.rate, help="events per second")
    parser.add_argument("--only", nargs="+", choices=("stream", "requests"), help="these parts")
    parser.add_argument("--sessions", type=int, default=plan.sessions, help="at once")
    return parser


if __name__ == "__main__":
    sys.exit(main())
