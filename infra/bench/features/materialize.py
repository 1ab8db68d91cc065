"""Both stores materialize one wide table in turn; then every hash is compared."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psutil
from feast import FeatureStore, RepoConfig
from redis import Redis

from contracts.online import redis_key
from contracts.settings import Settings
from infra.bench.features import figures, stores, wide
from infra.bench.features.figures import Round
from infra.bench.features.plan import Plan
from infra.demo.progress import Progress

OURS, STOCK = "bench_ours", "bench_stock"
WARM_UP = 1_000
TOGETHER = 1_000
"""Entities a pipeline."""


def measure(own: Settings, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Materialize in turn and compare; needs Redis, and the Spark session of this process."""
    table = own.var / "wide"
    stock = stores.stock(own, STOCK, own.var / STOCK / "registry.db")
    materializing = Materializing(own, plan, {OURS: stores.ours(own, OURS), STOCK: stock})
    with progress.step("wide", f"A table of {plan.entities:,} entities, {len(wide.COLUMNS)} features each"):
        # Spark loads its classes and starts its Python processes before anything is timed.
        wide.write_table(table, min(plan.entities, WARM_UP), plan.seed)
        materializing.round(OURS)
        materializing.round(STOCK)
        wide.write_table(table, plan.entities, plan.seed)
    rounds: dict[str, list[Round]] = {OURS: [], STOCK: []}
    turn = (OURS, STOCK)
    for number in range(plan.rounds):
        # Who is first changes, so that neither always finds what the other warmed.
        turn = turn[::-1] if number else turn
        for name in turn:
            materializing.clear()
            with progress.step(f"{name}_{number}", f"{name} materializes, round {number + 1}"):
                rounds[name].append(materializing.round(name))
    with progress.step("compare", f"Comparing the {plan.entities:,} hashes of both"):
        # Of the last round the second's rows are there.
        materializing.round(turn[0])
        differences, rows = materializing.compare()
    return figures.materialized(rounds[OURS], rounds[STOCK]) | {
        "entities": plan.entities,
        "features": len(wide.COLUMNS),
        "stock_rows": rows,
        "differences": differences,
        "stock_batch": stores.STOCK_BATCH,
    }


class Materializing:
    """The stores with the view registered, and the Redis that both write."""

    def __init__(self, own: Settings, plan: Plan, configs: dict[str, RepoConfig]) -> None:
        self._entities = plan.entities
        # Feast keys are bytes, which the stubs of redis do not allow.
        self._redis: Any = Redis.from_url(own.redis_url)
        self._stores = {name: FeatureStore(config=config) for name, config in configs.items()}
        for store in self._stores.values():
            store.apply([*wide.feature_view(own.var / "wide")])

    def round(self, name: str) -> Round:
        """Materialize everything once."""
        started, cpu = time.perf_counter(), self._cpu_seconds()
        self._stores[name].materialize(wide.AT, wide.AT, feature_views=[wide.VIEW])
        return Round(
            round(time.perf_counter() - started, 2),
            round(self._cpu_seconds() - cpu, 2),
        )

    def clear(self) -> None:
        """Remove what either store wrote."""
        for some in self._some_entities():
            self._redis.delete(*(_key(name, entity) for name in self._stores for entity in some))

    def compare(self) -> tuple[int, int]:
        """(entities whose hashes differ but for our version field, rows that stock wrote)."""
        different = rows = 0
        for some in self._some_entities():
            ours, theirs = self._held(OURS, some), self._held(STOCK, some)
            rows += sum(size > 0 for size, _ in theirs)
            different += sum(
                one != (size + 1, values) for one, (size, values) in zip(ours, theirs, strict=True)
            )
        return different, rows

    def _held(self, name: str, entities: range) -> list[tuple[int, list[bytes | None]]]:
        """How many fields each hash has, and the values of those that a row has."""
        pipeline = self._redis.pipeline(transaction=False)
        for entity in entities:
            key = _key(name, entity)
            pipeline.hlen(key).hmget(key, wide.FIELDS)
        found = pipeline.execute()
        return list(zip(found[::2], found[1::2], strict=True))

    def _some_entities(self) -> Iterator[range]:
        for first in range(0, self._entities, TOGETHER):
            yield range(first, min(first + TOGETHER, self._entities))

    def _cpu_seconds(self) -> float:
        """So far, of this process with all that it started, and of Redis."""
        mine = psutil.Process()
        tree = [process.cpu_times() for process in (mine, *mine.children(recursive=True))]
        used = sum(of.user + of.system + of.children_user + of.children_system for of in tree)
        redis = self._redis.info("cpu")
        return float(used + redis["used_cpu_user"] + redis["used_cpu_sys"])


def _key(project: str, entity: int) -> bytes:
    return redis_key(project, wide.key_of(entity))
