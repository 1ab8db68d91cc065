"""The request path while what it depends on is broken, and while too much is asked of it.

```
load ─► scorer ─► proxy ─► Redis, Kafka        each dependency × down, slow, garbage, flapping: nobody gets an error, answers stay fast,
                                               say which rung they stand on and why, and are whole again seconds later
load × 3 ─► scorer                             the pages where shoppers buy come first
```
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from contracts.clock import clear_replay_clock, set_replay_clock
from contracts.settings import ROOT, Settings
from infra.bench.features.shoppers import AT
from infra.bench.scorer import catalog, shoppers
from infra.bench.scorer.server import Asked, is_ready
from infra.bench.scorer.shoppers import BenchError
from infra.chaos.proxy import MODES, Mode, Proxy
from infra.demo.progress import Progress
from infra.stack import LocalStack
from infra.stack.broker import broker_unit
from infra.stack.units import environment, redis_unit

ITEMS, SHOPPERS, BODIES = 20_000, 2_000, 2_000
READY_SECONDS = 60.0
MOST_MS, MOST_BACK_SECONDS = 50.0, 5.0
LEAST_GOODPUT, LEAST_FIRST, LEAST_ASKED = 0.9, 0.99, 0.95
FULL, POPULAR = "full", "popular"
RECOMMEND = "/v1/placements/{}:recommend"


@dataclass(frozen=True, slots=True)
class RequestPlan:
    """How long and how much: `rate` requests a second for `seconds` of each fault; the overload is `times` what the scorer can."""

    rate: int = 60
    seconds: float = 15.0
    times: float = 3.0


@dataclass(frozen=True, slots=True)
class Case:
    """One dependency, broken in one way."""

    dependency: str
    mode: Mode

    def is_kept(self, rungs: Iterable[str], causes: Iterable[str]) -> bool:
        """Whether answers stood where they may, for a shopper of whom everything is known, and said why: without Kafka nothing is missing."""
        stood = set(rungs)
        if self.dependency == "kafka":
            return stood == {FULL}
        may = {FULL, POPULAR} if self.mode == "flapping" else {POPULAR}
        return POPULAR in stood and stood <= may and all(cause.startswith("Redis ") for cause in causes)


CASES = tuple(Case(dependency, mode) for dependency in ("redis", "kafka") for mode in MODES if mode != "pass")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request of the watch got: when, seconds, the status (0: none), the rung and its cause."""

    at: float
    seconds: float
    status: int
    rung: str
    cause: str | None


@dataclass(slots=True)
class Watch:
    """Asks for one shopper of whom everything is known, twenty times a second, as long as the context is open."""

    url: str
    answers: list[Answer] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=10) as client:
            while not self._stop.wait(0.05):
                began = time.perf_counter()
                try:
                    got = client.post(RECOMMEND.format("home"), json=shoppers.who(0))
                    told = got.json().get("degraded", {})
                    status = got.status_code
                except httpx.HTTPError:
                    told, status = {}, 0
                took = time.perf_counter() - began
                self.answers.append(
                    Answer(began + took, took, status, told.get("rung", ""), told.get("cause"))
                )

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(30)

    def full_since(self, since: float, seconds: float) -> float | None:
        """Seconds from `since` to the first whole answer after it; None where none comes within the time."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for answer in list(self.answers):
                if answer.at - answer.seconds >= since and answer.rung == FULL:
                    return answer.at - since
            time.sleep(0.02)
        return None


@dataclass(frozen=True, slots=True)
class Broken:
    """A scorer whose dependencies stand behind proxies."""

    settings: Settings
    proxies: dict[str, Proxy]
    bodies: Path

    def asked(self, placement: str) -> Asked:
        path, report = RECOMMEND.format(placement), f"load-{placement}.json"
        return Asked(self.settings, self.settings.port("scorer"), path, self.bodies, report)


@contextmanager
def between(own: Settings) -> Iterator[Broken]:
    """Redis, Kafka, a scorer that reaches both through proxies, 20,000 items and 2,000 shoppers."""
    set_replay_clock(own.clock_file, AT, rate=1.0)
    catalog.publish(own.serving, ITEMS)
    with Proxy(own.host, 0, own.port("redis")) as redis, Proxy(own.host, 0, own.port("kafka")) as kafka:
        seen = replace(
            own,
            redis_address=f"redis://{own.host}:{redis.port}/0",
            kafka_address=f"{own.host}:{kafka.port}",
        )
        units = {"redis": redis_unit(own), "kafka": broker_unit(seen, ROOT)}
        stack = LocalStack(own, units=units)
        try:
            stack.up(list(units))
            shoppers.write_shoppers(own, SHOPPERS, ITEMS)
            bodies = own.var / "bodies.json"
            bodies.write_bytes(b"\n".join(shoppers.bodies(SHOPPERS, BODIES, ITEMS)))
            broken = Broken(seen, {"redis": redis, "kafka": kafka}, bodies)
            with scorer(broken):
                yield broken
        finally:
            stack.down()
            clear_replay_clock(own.clock_file)


@contextmanager
def scorer(broken: Broken) -> Iterator[None]:
    """A scorer of its own, ready and warm."""
    seen = broken.settings
    seen.logs.mkdir(parents=True, exist_ok=True)
    with (seen.logs / "scorer.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scorer"],
            cwd=ROOT,
            env={**os.environ, **environment(seen)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready(broken.settings):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"the scorer is not ready: see {seen.logs / 'scorer.log'}")
            time.sleep(0.1)
        broken.asked("product").open_loop(20, 2, 2)
        yield
    finally:
        process.terminate()
        process.wait(30)


def run_cases(broken: Broken, plan: RequestPlan, progress: Progress) -> dict[str, Any]:
    """Every case in turn; the figures, and what each answer said."""
    cases = []
    lost = decisions_lost(broken)
    for case in CASES:
        cases.append(run_case(broken, case, plan))
        told = cases[-1]
        progress.say(
            f"{case.dependency} {case.mode}: {told['requests']} requests, {told['non_2xx']} failed, p99 {told['p99_ms']} ms, "
            f"{', '.join(told['rungs'])}; whole again after {told['back_to_full_s']} s"
        )
    return {
        "requests": sum(case["requests"] for case in cases),
        "non_2xx": sum(case["non_2xx"] for case in cases),
        "degraded_p99_ms": max(case["p99_ms"] for case in cases),
        "back_to_full_s": max(
            READY_SECONDS if case["back_to_full_s"] is None else case["back_to_full_s"] for case in cases
        ),
        "decisions_lost": decisions_lost(broken) - lost,
        "cases": cases,
    }


def decisions_lost(broken: Broken) -> int:
    """Records of decisions that did not come to Kafka so far."""
    page = httpx.get(f"{broken.settings.scorer_url}/metrics", trust_env=False).text
    lines = (line for line in page.splitlines() if line.startswith("braid_scorer_decisions_total{"))
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in lines if "dropped" in line or "failed" in line)


def run_case(broken: Broken, case: Case, plan: RequestPlan) -> dict[str, Any]:
    """Break it under load, mend it, wait for a whole answer."""
    proxy, ready = broken.proxies[case.dependency], True
    with Watch(broken.settings.scorer_url).watching() as watch:
        if watch.full_since(time.perf_counter(), READY_SECONDS) is None:
            raise BenchError(
                f"before {case.dependency} {case.mode} no answer was whole: {watch.answers[-1:]}"
            )
        began = time.perf_counter()
        proxy.mode = case.mode
        try:
            load = broken.asked("product").open_loop(plan.rate, plan.seconds, 24)
            ready = is_ready(broken.settings)
        finally:
            mended = time.perf_counter()
            proxy.mode = "pass"
        # Without Kafka answers stay whole: what comes back is the readiness.
        if case.dependency == "kafka":
            back = _ready_since(broken, mended)
        else:
            back = watch.full_since(mended, READY_SECONDS)
    # What was on its way as the fault began may still be whole.
    during = [one for one in watch.answers if began + 1 < one.at - one.seconds < mended]
    rungs = sorted({one.rung for one in during})
    causes = sorted({one.cause for one in during if one.cause})
    silent = case.mode in ("down", "garbage")
    return {
        "dependency": case.dependency,
        "mode": case.mode,
        "requests": load["count"] + len(watch.answers),
        "non_2xx": load["non_2xx"] + sum(one.status != 200 for one in watch.answers),
        "p99_ms": load["p99_ms"],
        "max_ms": load["max_ms"],
        "rungs": rungs,
        "causes": causes,
        "ready": ready,
        # Who is silent is seen by the probe of readiness: so the fault did arrive.
        "as_expected": case.is_kept(rungs, causes)
        and not (silent and ready)
        and all(bool(one.cause) == (one.rung != FULL) for one in during),
        "back_to_full_s": None if back is None else round(back, 2),
    }


def _ready_since(broken: Broken, since: float) -> float | None:
    deadline = time.perf_counter() + READY_SECONDS
    while time.perf_counter() < deadline:
        if is_ready(broken.settings):
            return time.perf_counter() - since
        time.sleep(0.05)
    return None


def run_overload(broken: Broken, plan: RequestPlan) -> dict[str, Any]:
    """What the scorer can, whole answers one after the other, then several times as much: one of five for a product's page, the
    others for the home page.

    Good is an answer within a second of when it was due, whole or the light one; of product pages only the whole ones are served.
    """
    can = broken.asked("home").closed_loop(plan.seconds, 3)["requests_per_second"]
    first, others = 0.2 * plan.times * can, 0.8 * plan.times * can
    with ThreadPoolExecutor(2) as pool:
        asked = {
            name: pool.submit(broken.asked(name).open_loop, rate, plan.seconds, 150)
            for name, rate in (("product", first), ("home", others))
        }
    found = {name: one.result() for name, one in asked.items()}
    took = max(one["seconds"] for one in found.values())
    count, served, late = (
        sum(values)
        for values in zip(
            *((one["count"], one["count"] - one["non_2xx"], one["late"]) for one in found.values()),
            strict=True,
        )
    )
    product = found["product"]
    return {
        "capacity_rps": can,
        "asked_rps": round(count / took, 1),
        "goodput_rps": round((served - late) / took, 1),
        "goodput_ratio": round((served - late) / took / can, 3),
        "whole_rps": round(sum(one["rungs"].get(FULL, 0) for one in found.values()) / took, 1),
        "priority_served": round(product["rungs"].get(FULL, 0) / product["count"], 4),
        "by_page": {
            name: {key: one[key] for key in ("count", "statuses", "rungs", "late", "p50_ms", "p99_ms")}
            for name, one in found.items()
        },
    }


def broken_promises(scorer: dict[str, Any], overload: dict[str, Any], times: float) -> Sequence[str]:
    """Promises that the figures do not keep."""
    found = [
        f"{case['dependency']} {case['mode']}: answers stood on {case['rungs']} because of {case['causes']}"
        for case in scorer["cases"]
        if not case["as_expected"]
    ]
    if scorer["non_2xx"]:
        found.append(f"{scorer['non_2xx']} requests failed while a dependency was broken")
    if scorer["degraded_p99_ms"] > MOST_MS:
        found.append(f"degraded_p99_ms {scorer['degraded_p99_ms']} is above {MOST_MS:g}")
    if scorer["back_to_full_s"] > MOST_BACK_SECONDS:
        found.append(f"back_to_full_s {scorer['back_to_full_s']} is above {MOST_BACK_SECONDS:g}")
    if scorer["decisions_lost"]:
        found.append(f"{scorer['decisions_lost']} records of decisions were lost")
    if overload["asked_rps"] < LEAST_ASKED * times * overload["capacity_rps"]:
        found.append(
            f"only {overload['asked_rps']} requests/s were asked, less than {times:g} times what can be answered"
        )
    if overload["goodput_ratio"] < LEAST_GOODPUT:
        found.append(f"goodput_ratio {overload['goodput_ratio']} is below {LEAST_GOODPUT}")
    if overload["priority_served"] < LEAST_FIRST:
        found.append(f"priority_served {overload['priority_served']} is below {LEAST_FIRST}")
    return found
