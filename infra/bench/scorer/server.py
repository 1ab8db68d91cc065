"""The scorer as a server that is asked, and what is seen of it from outside: its speed, its memory, its stages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from contracts.settings import ROOT, Settings
from infra.bench.scorer.shoppers import BenchError
from infra.stack import LocalStack
from infra.stack.ports import listeners

ONE_CLIENT_RATE, MANY = 20.0, 8
STAGES = ("rows", "derive", "decide", "record")
READY_SECONDS = 600.0
Outcome = TypeVar("Outcome")


class Asked:
    """A server that is asked by a process of its own."""

    def __init__(self, own: Settings, port: int, path: str, bodies: Path, report: str = "load.json") -> None:
        """`report`: the load's own file; two at once have two."""
        self._report = own.var / report
        self._port, self._path, self._bodies = port, path, bodies

    def open_loop(self, rate: float, seconds: float, connections: int) -> dict[str, Any]:
        """At a rate, each latency from when it was due."""
        return self._ask("--rate", str(rate), "--seconds", str(seconds), "--connections", str(connections))

    def closed_loop(self, seconds: float, connections: int) -> dict[str, Any]:
        """As fast as so many clients get answers."""
        return self._ask("--rate", "0", "--seconds", str(seconds), "--connections", str(connections))

    def _ask(self, *options: str) -> dict[str, Any]:
        where = ("--port", str(self._port), "--path", self._path, "--bodies", str(self._bodies))
        command = [
            sys.executable,
            "-m",
            "infra.load",
            "bodies",
            *where,
            *options,
            "--report",
            str(self._report),
        ]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode:
            raise BenchError(
                f"the load ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"
            )
        told: dict[str, Any] = json.loads(self._report.read_text())
        return told


def ready_again(own: Settings, stack: LocalStack) -> float:
    """Seconds from a scorer's start to its readiness; the one that ran is stopped first."""
    stack.down(["scorer"])
    started = time.perf_counter()
    stack.up(["scorer"])
    deadline = time.monotonic() + READY_SECONDS
    while not is_ready(own):
        if time.monotonic() > deadline:
            raise BenchError(f"the scorer was not ready within {READY_SECONDS:.0f} s")
        time.sleep(0.05)
    return round(time.perf_counter() - started, 1)


def is_ready(own: Settings) -> bool:
    """Whether it says that it serves fully."""
    try:
        return httpx.get(f"{own.scorer_url}/readyz", trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False


def wait_for_workers(own: Settings) -> None:
    """Wait until all of them listen."""
    deadline = time.monotonic() + READY_SECONDS
    while len(workers(own)) < own.scorer_workers:
        if time.monotonic() > deadline:
            raise BenchError(f"{len(workers(own))} workers of {own.scorer_workers} listen")
        time.sleep(0.2)


def wait_for_version(own: Settings, version: str) -> None:
    """Wait until a snapshot serves."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        told = httpx.get(f"{own.scorer_url}/readyz", trust_env=False, timeout=10).json()
        if told.get("snapshot_version") == version:
            return
        time.sleep(0.2)
    raise BenchError(f"{version} did not come to serve within {READY_SECONDS:.0f} s")


def warm_up(asked: Asked) -> None:
    """What is loaded at the first request is not measured."""
    asked.open_loop(ONE_CLIENT_RATE, 3, MANY)


def workers(own: Settings) -> list[psutil.Process]:
    """The processes that listen on the scorer's port."""
    port = own.port("scorer")
    found = listeners(port)
    if not found:
        raise BenchError(f"nothing listens on port {port}")
    return found


def cpu_seconds(own: Settings) -> float:
    """What the workers have used so far."""
    return sum(sum(worker.cpu_times()[:2]) for worker in workers(own))


def stack_processes(own: Settings) -> dict[str, list[psutil.Process]]:
    """What runs of the stack, each unit with its children."""
    roots = {one.name: psutil.Process(one.pid) for one in LocalStack(own).status() if one.pid}
    return {name: [root, *root.children(recursive=True)] for name, root in roots.items()}


def cores_used(
    running: Mapping[str, Sequence[psutil.Process]], measured: Callable[[], Outcome]
) -> tuple[Outcome, dict[str, float]]:
    """What is measured, and how many cores each unit used meanwhile, those that used most first; a process that ended counts nothing."""
    before, began = _used(running), time.perf_counter()
    outcome = measured()
    after, seconds = _used(running), time.perf_counter() - began
    cores = {
        name: round(sum(after[one] - before[one] for one in group if one in after) / seconds, 3)
        for name, group in running.items()
    }
    return outcome, dict(sorted(cores.items(), key=lambda one: -one[1]))


def _used(running: Mapping[str, Sequence[psutil.Process]]) -> dict[psutil.Process, float]:
    found = {}
    for one in chain.from_iterable(running.values()):
        with suppress(psutil.NoSuchProcess):
            found[one] = sum(one.cpu_times()[:2])
    return found


def memory(own: Settings) -> dict[str, int]:
    """MiB of the workers together: resident, pages that several map counted once, and of these what each has for itself."""
    told = [worker.memory_full_info() for worker in workers(own)]
    return {"resident": sum(one.pss for one in told) >> 20, "own": sum(one.uss for one in told) >> 20}


def stages(own: Settings) -> dict[str, tuple[float, float]]:
    """Seconds and count so far of each stage, from the scorer's metrics."""
    page = httpx.get(f"{own.scorer_url}/metrics", trust_env=False).text
    name = "braid_scorer_stage_seconds"
    found = {}
    for stage in STAGES:
        values = [
            float(line.rsplit(" ", 1)[1])
            for kind in ("sum", "count")
            for line in page.splitlines()
            if line.startswith(f'{name}_{kind}{{stage="{stage}"}}')
        ]
        found[stage] = (values[0], values[1])
    return found


def per_stage(
    before: Mapping[str, tuple[float, float]], after: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Mean milliseconds of each stage between two looks."""
    return {
        stage: round(
            (after[stage][0] - before[stage][0]) / max(after[stage][1] - before[stage][1], 1) * 1000, 3
        )
        for stage in STAGES
    }
