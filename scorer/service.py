"""One scorer: what it holds, how it starts and stops, and what it still waits for."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.clock import Clock
from contracts.settings import Settings
from scorer.admission import Admission, Lane
from scorer.breaker import Breaker
from scorer.catalog import CatalogFollower
from scorer.ingest import BATCHES, Ingest
from scorer.metrics import Metrics
from scorer.outbox import Outbox
from scorer.policies import Policies
from scorer.recommending import Recommender
from scorer.snapshots import Follower
from scorer.store import READ_BUDGET_SECONDS, FeatureStore
from scorer.trends import TrendFollower

EVENTS_QUEUED = 50_000
DECISIONS_QUEUED = 100_000
DECISION_DELIVERY_SECONDS = 120.0
"""Decisions outlast a restart of the broker; nobody waits for them."""
REACH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """Where a scorer finds what it needs, and how long it waits.

    `delivery_seconds` is how long a sender of events waits for Kafka, and a stop for what is queued.
    """

    redis_url: str
    kafka_bootstrap: str
    serving: Path
    policy: Path
    shop: bool
    project: str
    clock: Clock
    redis_budget_seconds: float = READ_BUDGET_SECONDS
    delivery_seconds: float = 5.0
    decisions_queued: int = DECISIONS_QUEUED
    among_workers: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Options:
        return cls(
            redis_url=settings.redis_url,
            kafka_bootstrap=settings.kafka_bootstrap,
            serving=settings.serving,
            policy=settings.policy,
            shop=settings.shop,
            project=settings.feast_project,
            clock=settings.clock(),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one scorer that the routes call."""

    metrics: Metrics
    follower: Follower
    catalog: CatalogFollower
    trends: TrendFollower
    store: FeatureStore
    events: Outbox
    recommender: Recommender
    ingest: Ingest
    shop: bool
    """Whether `/shop` is open."""
    closing: asyncio.Event
    """Set when it is about to stop: it answers on, but whoever asks `/readyz` sends nobody here any more."""

    async def missing(self) -> list[str]:
        """What keeps it from serving fully; empty when it is ready."""
        if self.closing.is_set():
            return ["it is stopping"]
        redis = await self.store.ping()
        kafka = await asyncio.to_thread(self.events.reach, REACH_SECONDS)
        found = [] if self.follower.serving else [self.follower.missing]
        found += [f"redis: {redis}"] if redis else []
        found += [f"kafka: {kafka}"] if kafka else []
        for name, behind in (("catalog", self.catalog.missing), ("trends", self.trends.missing)):
            found += [f"{name}: {behind}"] if behind else []
        return found


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Service]:
    """A started scorer; at the end what is queued is delivered and everything is closed.

    Raises:
        PolicyError: the policy cannot be used.
    """
    metrics = Metrics(shared=options.among_workers)
    policies = Policies(options.policy, metrics)
    catalog = CatalogFollower(options.kafka_bootstrap, options.clock, metrics)
    trends = TrendFollower(options.kafka_bootstrap, options.clock, metrics)
    follower = Follower(
        options.serving, lambda snapshot: trends.put_on(catalog.stock(snapshot), snapshot), policies, metrics
    )
    store = FeatureStore(options.redis_url, options.project, metrics, options.redis_budget_seconds)
    events = Outbox(options.kafka_bootstrap, EVENTS_QUEUED, options.delivery_seconds)
    decisions = Outbox(options.kafka_bootstrap, options.decisions_queued, DECISION_DELIVERY_SECONDS)

    async def reached() -> bool:
        return await asyncio.to_thread(events.reach, REACH_SECONDS) is None

    kafka = Breaker(reached)
    await follower.look()
    following = asyncio.create_task(follower.follow(), name="follow snapshots")
    try:
        yield Service(
            metrics,
            follower,
            catalog,
            trends,
            store,
            events,
            Recommender(
                store, follower, catalog, Admission(metrics), decisions, options.clock, metrics, new_id
            ),
            Ingest(
                events,
                options.clock,
                metrics,
                new_id,
                options.delivery_seconds,
                kafka,
                Lane(BATCHES, metrics.shed.labels("refused").inc),
            ),
            options.shop,
            asyncio.Event(),
        )
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await store.close()
        await kafka.close()
        boxes = (events, decisions)
        await asyncio.gather(
            asyncio.to_thread(catalog.close),
            asyncio.to_thread(trends.close),
            *(asyncio.to_thread(box.close, options.delivery_seconds) for box in boxes),
        )


def new_id() -> str:
    """A name that no other decision or request has."""
    return uuid.uuid4().hex
