"""The load: simulator sessions through the stream while the scorer answers requests, each from its own process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.clock import set_replay_clock
from contracts.errors import BraidError
from contracts.settings import Settings
from infra.demo.counts import events_seen_online
from infra.demo.plan import Plan
from infra.demo.process import start, tail
from infra.demo.topics import wait_for

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """What the load's processes reported, and the events produced per session (`visitor/session`)."""

    paced: Figures
    burst: Figures
    requests: Figures
    produced: dict[str, int]


def run_load(settings: Settings, plan: Plan) -> LoadFigures:
    """Paced events with freshness watched and requests beside them, then a burst for the stream's rate."""
    set_replay_clock(settings.clock_file, plan.load_at, rate=1.0)
    paced_file, burst_file, requests_file = (
        settings.run / f"load-{n}.json" for n in ("paced", "burst", "requests")
    )
    size = plan.load
    paced = ["infra.load", "stream", "--prefix", "paced", "--rate", str(size.events_per_second)]
    paced += ["--seconds", str(size.seconds), "--report", str(paced_file)]
    asked = ["infra.load", "requests", "--rate", str(size.requests_per_second)]
    asked += ["--seconds", str(size.request_seconds), "--report", str(requests_file)]
    _together(settings, {"load-stream": paced, "load-requests": asked})
    burst = [
        "infra.load",
        "burst",
        "--prefix",
        "burst",
        "--events",
        str(size.burst_events),
        "--report",
        str(burst_file),
    ]
    _together(settings, {"load-burst": burst})
    figures = [_read(file) for file in (paced_file, burst_file, requests_file)]
    produced = {**figures[0].pop("produced"), **figures[1].pop("produced")}
    _wait_until_stored(settings, produced)
    return LoadFigures(figures[0], figures[1], figures[2], produced)


def _together(settings: Settings, commands: dict[str, list[str]]) -> None:
    running = {name: start(settings, name, arguments) for name, arguments in commands.items()}
    for name, process in running.items():
        if process.wait() != 0:
            log = settings.logs / "demo" / f"{name}.log"
            raise BraidError(f"{name} ended with code {process.returncode}:\n{tail(log)}")


def _wait_until_stored(settings: Settings, produced: dict[str, int]) -> None:
    """The stream may lag behind the burst: wait until as many events are stored as were produced."""
    wait_for(
        "every produced event reached the online store",
        lambda: sum(events_seen_online(settings, produced).values()) >= sum(produced.values()),
        limit_seconds=180,
        poll_seconds=1.0,
    )


def _read(path: Path) -> Figures:
    figures: Figures = json.loads(path.read_text())
    return figures
