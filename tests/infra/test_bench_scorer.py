"""The scorer's bench: what it publishes is a snapshot that serves, what it writes is what a request reads, and its figures."""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import psutil
import pytest

from contracts.clock import to_micros
from contracts.features import CONSENT, SESSION, USER
from contracts.online import decode_row, fields_of
from infra.bench.features.shoppers import AT
from infra.bench.scorer import catalog, run, server, shoppers
from infra.bench.scorer.plan import Plan
from models.decide.artifacts import current_version, open_served
from models.decide.decide import decide
from scorer.shopper import keys_of, known
from scorer.wire import RecommendRequest


def test_a_shopper_of_the_bench_gets_an_answer_of_the_full_path(tmp_path: Path) -> None:
    items = 3_000
    version = catalog.publish(tmp_path, items)
    assert current_version(tmp_path) == version
    served = open_served(tmp_path / version)
    request = msgspec.json.decode(shoppers.bodies(100_000, 2, items)[1], type=RecommendRequest)
    contents = shoppers.contents_of(Random(0), items)
    reads = []
    for key in keys_of(request):
        row = contents[key.view.name]
        reads.append((key, decode_row(key.view, [row.get(field) for field in fields_of(key.view)])))
    assert {key.view for key, row in reads if row.found} >= {CONSENT, SESSION, USER}
    facts = known(reads, to_micros(AT), request)
    decided = decide(served, facts.shopper, "product", 10, AT)
    assert decided.degraded.rung == "full"
    assert len(decided.results) == 10
    assert all(served.snapshot.in_stock[served.snapshot.index[one.item_id]] for one in decided.results)


def leg(**more: Any) -> dict[str, Any]:
    return {"non_2xx": 0, "p99_ms": 3.0, **more}


def test_the_time_of_a_stage_is_that_between_two_looks() -> None:
    before = dict.fromkeys(server.STAGES, (1.0, 100.0))
    after = {"rows": (1.5, 200.0), "derive": (1.0, 100.0), "decide": (3.0, 200.0), "record": (1.1, 200.0)}
    assert server.per_stage(before, after) == {"rows": 5.0, "derive": 0.0, "decide": 20.0, "record": 1.0}


def test_the_cores_of_each_process_are_what_it_used_meanwhile() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        running = {"sleeps": [psutil.Process(sleeper.pid)], "counts": [psutil.Process()]}
        counted, cores = server.cores_used(running, lambda: sum(range(10_000_000)))
        sleeper.kill()
    assert counted == 49_999_995_000_000
    assert list(cores) == ["counts", "sleeps"]
    assert cores["counts"] > cores["sleeps"] == 0


@pytest.mark.parametrize(
    "failed", [None, "turn 0", "the tutorial's, turn 0", "50 items by 2", "swap to 50 items"]
)
def test_a_failed_request_is_a_broken_promise(failed: str | None) -> None:
    turn, theirs, swap, two = leg(), leg(), leg(), leg(items=50, workers=2)
    asked = {
        "turn 0": turn, "the tutorial's, turn 0": theirs, "swap to 50 items": swap, "50 items by 2": two,
    }  # fmt: skip
    if failed:
        asked[failed]["non_2xx"] = 2
    beside = {"turns": [turn], "tutorial": {"turns": [theirs]}}
    legs = [leg(items=50, workers=1, swap=swap), two]
    assert run.broken(beside, legs) == ([f"{failed}: 2 requests failed"] if failed else [])


def test_capacity_is_of_as_many_workers_as_answer_most_and_latency_of_one() -> None:
    def of(items: int, workers: int, rps: float) -> dict[str, Any]:
        busy = leg(p99_ms=10.0 * workers)
        return leg(
            items=items, workers=workers, capacity_rps=rps, one_client=leg(p99_ms=float(workers)), at_70_percent=busy,
            stages_ms={}, cores={}, memory_mib={}, cpu_seconds_per_million=workers,
        )  # fmt: skip

    plan = Plan(items=500, growth=(50,))
    legs = [of(500, 1, 100.0), of(500, 2, 150.0), of(50, 1, 300.0), of(50, 2, 400.0)]
    told = run.report_of(plan, {"turns": [], "tutorial": {"turns": []}}, legs, 1.0)
    assert (told["one_client"]["p99_ms"], told["cpu_seconds_per_million"]) == (1.0, 1)
    assert (told["capacity_rps"], told["workers"], told["at_70_percent"]["p99_ms"]) == (150.0, 2, 20.0)
    assert told["broken"] == []
