"""The scorer's bench: what it publishes is a snapshot that serves, what it writes is what a request reads, and its figures."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from contracts.clock import to_micros
from contracts.features import CONSENT, SESSION, USER
from contracts.online import decode_row, fields_of
from infra.bench.features.shoppers import AT
from infra.bench.scorer import catalog, run, server, shoppers
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


@pytest.mark.parametrize("failed", [None, "one_client", "at_70_percent", "swap", "by two"])
def test_a_failed_request_is_a_broken_promise(failed: str | None) -> None:
    measured: dict[str, Any] = {"one_client": leg(), "at_70_percent": leg(), "turns": [leg()]}
    measured["tutorial"] = {"turns": [leg()]}
    growth = [
        {"items": 50_000, "workers": 1, "non_2xx": 0, "swap": leg()},
        {"items": 50_000, "workers": 2, "non_2xx": 0},
    ]
    if failed == "swap":
        growth[0]["swap"]["non_2xx"] = 2
    elif failed == "by two":
        growth[1]["non_2xx"] = 2
    elif failed:
        measured[failed]["non_2xx"] = 2
    assert [text.split(":")[1].strip() for text in run.broken(measured, growth)] == (
        ["2 requests failed"] if failed else []
    )
