"""The scorer of a full stack under load, beside what a tutorial puts together, and alone at other sizes of the catalog.

```
snapshot ─► stack ─► 1,000,000 shoppers ─► updates and events flow ─► one client ─► capacity ─► 70 % of it; by one worker and by two
                                                              one worker in turns with the tutorial's server, which is one process too
other sizes: snapshot ─► swapped in while it serves ─► the same
```
The load comes from a process of its own on the same cores.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from contracts.clock import clear_replay_clock, set_replay_clock, to_micros
from contracts.reports import provenance
from contracts.settings import ROOT, TOPICS, Settings
from infra.bench.batch import lake
from infra.bench.features.shoppers import AT
from infra.bench.scorer import catalog, shoppers
from infra.bench.scorer.legs import by_two, grown, measured, of_product
from infra.bench.scorer.plan import Plan
from infra.bench.scorer.server import MANY, ONE_CLIENT_RATE, Asked, ready_again
from infra.bench.scorer.shoppers import BenchError
from infra.demo.progress import Progress
from infra.demo.topics import written
from infra.publish import Sender
from infra.stack import LocalStack

ASKED = 20_000
FEW = 2
WARM_SECONDS = 120.0
"""Until the stream's job has come to its pace and what is asked of it often is compiled."""
AIMS = {"p99_ms": 15.0, "capacity_rps": 150.0, "at_70_percent_p99_ms": 50.0, "ratio_tutorial": 10.0}


def run(settings: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Measure; the report.

    Raises:
        BraidError: a process that is measured did not start, or ended early.
    """
    own = lake(settings, "scorer")
    shutil.rmtree(own.var, ignore_errors=True)
    stack = LocalStack(own)
    set_replay_clock(own.clock_file, AT, rate=1.0)
    try:
        with progress.step("snapshot", f"A snapshot of {plan.items:,} items"):
            catalog.publish(own.serving, plan.items)
        with progress.step(
            "stack", "The stack; the scorer is ready when it has the snapshot and the catalog"
        ):
            stack.up()
            ready_s = ready_again(own, stack)
        with progress.step("shoppers", f"{plan.shoppers:,} shoppers into Redis"):
            known = min(plan.items, *plan.growth)
            hashes = shoppers.write_shoppers(own, plan.shoppers, known)
        bodies = own.var / "bodies.json"
        bodies.write_bytes(b"\n".join(shoppers.bodies(plan.shoppers, ASKED, known)))
        with flowing(own, plan) as flows:
            asked = of_product(own, bodies)
            with progress.step("warm", "Events and updates begin to flow"):
                asked.open_loop(ONE_CLIENT_RATE, WARM_SECONDS, 2)
            with progress.step("one_worker", "One client, capacity, 70 % of it"):
                legs = [measured(own, plan, plan.items, asked)]
            beside = beside_the_tutorial(own, plan, bodies, progress)
            legs.append(by_two(own, plan, plan.items, bodies, progress))
            for items in plan.growth:
                legs.append(grown(own, plan, items, bodies, progress))
                legs.append(by_two(own, plan, items, bodies, progress))
            flowed = flows()
    finally:
        clear_replay_clock(own.clock_file)
        stack.down()
    shutil.rmtree(own.var, ignore_errors=True)
    measured_once = {**beside, "ready_s": ready_s, "hashes": hashes, "flowed": flowed}
    return report_of(plan, measured_once, legs, progress.elapsed)


def beside_the_tutorial(own: Settings, plan: Plan, bodies: Path, progress: Progress) -> dict[str, Any]:
    """Capacity in turns."""
    from infra.bench.scorer.peer import PROJECT, serve

    ours = of_product(own, bodies)
    vectors = catalog.snapshot(plan.items, 0).vectors
    with (
        progress.step("tutorial", "The tutorial's server starts: HNSW is built"),
        serve(own, plan, vectors) as port,
    ):
        theirs = Asked(own, port, "/recommend", bodies)
        turns: dict[str, list[dict[str, Any]]] = {"ours": [], "tutorial": []}
        if theirs.closed_loop(5, FEW)["non_2xx"]:
            raise BenchError(f"the tutorial's server does not answer: see {own.var / PROJECT / 'server.log'}")
        for _ in range(plan.rounds):
            turns["ours"].append(ours.closed_loop(plan.seconds, MANY))
            # It answers one after the other: more would only wait until they give up.
            turns["tutorial"].append(theirs.closed_loop(plan.seconds, FEW))
    capacity, their_capacity = (
        median(turn["requests_per_second"] for turn in turns[name]) for name in ("ours", "tutorial")
    )
    return {
        "tutorial": {"capacity_rps": round(their_capacity, 2), "turns": turns["tutorial"]},
        "turns": turns["ours"],
        "ratio_tutorial": round(capacity / their_capacity, 1),
    }


@contextmanager
def flowing(own: Settings, plan: Plan) -> Iterator[Callable[[], dict[str, float]]]:
    """Catalog updates and shoppers' events flow while the body runs; it is given what tells how many a second came into Kafka so far."""
    topics = {"updates": TOPICS.catalog, "events": TOPICS.events}
    before, began = {name: written(own, topic) for name, topic in topics.items()}, time.monotonic()

    def flowed() -> dict[str, float]:
        seconds = time.monotonic() - began
        return {
            name: round((written(own, topic) - before[name]) / seconds, 1) for name, topic in topics.items()
        }

    stopped = threading.Event()
    thread = threading.Thread(target=_update, args=(own, plan, stopped), daemon=True)
    thread.start()
    report = own.var / "events.json"
    stream = ("stream", "--rate", str(plan.events), "--seconds", str(7200), "--report", str(report))
    events = subprocess.Popen(
        [sys.executable, "-m", "infra.load", *stream],
        cwd=ROOT,
        env={**_environment(own)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield flowed
        if events.poll() is not None or not thread.is_alive():
            raise BenchError("events or updates ceased to flow")
    finally:
        stopped.set()
        events.terminate()
        events.wait(30)
        thread.join(30)


def _update(own: Settings, plan: Plan, stopped: threading.Event) -> None:
    sender, clock, began = Sender(own), own.clock(), time.monotonic()
    for number in count():
        if stopped.wait(max(0.0, began + number / plan.updates - time.monotonic())):
            break
        item = (number * 7919) % plan.items
        state = catalog.update(item, to_micros(clock.now()), 500 + number % 1000, in_stock=number % 3 > 0)
        sender.send_raw(TOPICS.catalog, catalog.item_id(item), msgspec.json.encode(state))
    sender.flush()


def _environment(own: Settings) -> Mapping[str, str]:
    from infra.stack.units import environment

    return environment(own)


def report_of(
    plan: Plan, beside: Mapping[str, Any], legs: Sequence[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    """The report, with what is promised and was not so: latency, stages and memory of one worker, capacity of as many as answer most."""
    one = legs[0]
    most = max((leg for leg in legs if leg["items"] == plan.items), key=lambda leg: leg["capacity_rps"])
    return {
        **provenance(),
        "peer": "FastAPI, Feast's SDK, FAISS HNSW, model.predict",
        "plan": asdict(plan),
        **{
            name: one[name]
            for name in ("one_client", "stages_ms", "cores", "memory_mib", "cpu_seconds_per_million")
        },
        **{name: most[name] for name in ("capacity_rps", "at_70_percent", "workers")},
        **beside,
        "growth": list(legs),
        "aims": AIMS,
        "broken": broken(beside, legs),
        "seconds": round(seconds, 1),
    }


def broken(beside: Mapping[str, Any], legs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Requests that failed; a speed that falls short is reported, not a failure."""
    asked = {f"turn {n}": turn for n, turn in enumerate(beside["turns"])}
    asked |= {f"the tutorial's, turn {n}": turn for n, turn in enumerate(beside["tutorial"]["turns"])}
    asked |= {f"{leg['items']:,} items by {leg['workers']}": leg for leg in legs}
    asked |= {f"swap to {leg['items']:,} items": leg["swap"] for leg in legs if "swap" in leg}
    told = [f"{name}: {leg['non_2xx']} requests failed" for name, leg in asked.items() if leg["non_2xx"]]
    return told + [
        f"{name}: it was not asked to the end" for name, leg in asked.items() if not leg.get("asked_in", True)
    ]
