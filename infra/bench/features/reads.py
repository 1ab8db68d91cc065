"""What one request needs, read three ways in turn: by the scorer's class, by Feast's SDK, and by `feast serve`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feast import FeatureStore as FeastStore
from feast import RepoConfig

from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, Value, View
from contracts.online import StoredRow
from contracts.settings import Settings
from feature_repo.repo import apply
from infra.bench.features import figures, stores
from infra.bench.features.plan import Plan
from infra.bench.features.served import Served, serve
from infra.bench.features.shoppers import keys_of as join_keys_of
from infra.bench.features.shoppers import request_of, write_shoppers
from infra.demo.progress import Progress
from scorer.metrics import Metrics
from scorer.shopper import keys_of
from scorer.store import FeatureStore, RowKey

PROJECT = "bench_read"
VIEWS: tuple[View, ...] = (CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING)
FEATURES = [f"{view.name}:{name}" for view in VIEWS for name, _ in view.stored_columns]
BUDGET_SECONDS = 5.0
"""The scorer would give up after 0.1 s; here a read that waits shall be measured, not refused."""


@dataclass(slots=True)
class Read:
    """Seconds of each way to read, and what was compared."""

    ours: list[float] = field(default_factory=list)
    sdk: list[float] = field(default_factory=list)
    serve: list[float] = field(default_factory=list)
    values: int = 0
    differences: int = 0
    missing_rows: int = 0


def measure(own: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Write the shoppers, then read each of them three times; needs Redis."""
    settings = replace(own, var=own.var / PROJECT, feast_project=PROJECT)
    feast = apply(settings)
    with progress.step("shoppers", f"{plan.shoppers:,} shoppers, rows of every view"):
        rows = write_shoppers(settings, feast, plan.shoppers, plan.seed)
    registry = settings.var / "feast" / "registry.db"
    peer = stores.stock_settings(settings, PROJECT, registry)
    with (
        progress.step("serve", "feast serve starts"),
        serve(settings.var / "serve", peer, own.host) as served,
    ):
        sdk = FeastStore(config=RepoConfig(**peer))
        with progress.step("reads", f"{plan.shoppers:,} requests, each read three times"):
            read = asyncio.run(_read_all(settings, plan, sdk, served))
    return figures.read(read.ours, read.sdk, read.serve) | {
        "rows": rows,
        "missing_rows": read.missing_rows,
        "values": read.values,
        "differences": read.differences,
    }


async def _read_all(settings: Settings, plan: Plan, sdk: FeastStore, served: Served) -> Read:
    ours = FeatureStore(settings.redis_url, PROJECT, Metrics(), BUDGET_SECONDS)
    read = Read()
    try:
        for number in range(-plan.warm_up, plan.shoppers):
            if number == 0:
                read = Read()
            await _read_one(number % plan.shoppers, ours, sdk, served, read)
    finally:
        await ours.close()
    return read


async def _read_one(number: int, ours: FeatureStore, sdk: FeastStore, served: Served, read: Read) -> None:
    """One request by each way, then the comparison."""
    keys, entities = keys_of(request_of(number)), entities_of(number)
    started = time.perf_counter()
    rows = await ours.read(keys)
    read.ours.append(time.perf_counter() - started)
    by_sdk = _timed(read.sdk, lambda: by_the_sdk(sdk, entities))
    _timed(read.serve, lambda: served.read(FEATURES, entities))
    for (key, row), place in zip(zip(keys, rows, strict=True), places_of(keys), strict=True):
        expected = {name: by_sdk[f"{key.view.name}__{name}"][place] for name, _ in key.view.stored_columns}
        read.values += len(expected)
        read.differences += differing(key.view, row, expected)
        read.missing_rows += row is not None and not row.found


def _timed(seconds: list[float], work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    found = work()
    seconds.append(time.perf_counter() - started)
    return found


def entities_of(number: int) -> dict[str, list[str]]:
    """Two entity rows ask for all of it in one call: the user's, and the device's for its consent alone."""
    user = join_keys_of(number)
    return {name: [value, value] for name, value in user.items()} | {
        "shopper_id": [user["shopper_id"], f"visitor:{user['visitor_id']}"]
    }


def by_the_sdk(sdk: FeastStore, entities: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """All views in one call, as Python values."""
    return sdk.get_online_features(FEATURES, entities, full_feature_names=True).to_dict()


def places_of(keys: Sequence[RowKey]) -> list[int]:
    """Which of the entity rows has each row that a request reads."""
    return [1 if key.key.get("shopper_id", "").startswith("visitor:") else 0 for key in keys]


def differing(view: View, row: StoredRow | None, expected: Mapping[str, Value]) -> int:
    """Values that differ from the SDK's; of a row that is not there it says None and ours the declared defaults."""
    if row is None:
        return len(expected)
    if not row.found:
        defaults = {feature.name: feature.default for feature in view.features} | dict.fromkeys(view.carried)
        return sum(expected[name] is not None or row.features[name] != defaults[name] for name in expected)
    return sum(row.features[name] != value for name, value in expected.items())
