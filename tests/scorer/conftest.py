"""Redis and Kafka for the scorer's tests, and one scorer over a published snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis

from contracts.clock import FixedClock
from contracts.settings import Settings
from infra.stack import LocalStack
from scorer.service import Options
from tests.scorer.kit import NOW, Rows, Running, publish, scorer, snapshot, whole


@pytest.fixture(scope="session")
def options(stack: LocalStack, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Options:
    """Of a scorer over the session's Redis and Kafka, with nothing published and the clock at `NOW`.

    The budget is wide: on a busy machine a test must see the row, not the rung for a slow Redis.
    """
    stack.up(["redis", "kafka"])
    return replace(
        Options.of(settings),
        serving=tmp_path_factory.mktemp("serving"),
        clock=FixedClock(NOW),
        redis_budget_seconds=10.0,
    )


@pytest.fixture(scope="session")
def braid(options: Options) -> Iterator[Running]:
    """A running scorer whose champion is the item-kNN of `kit.snapshot`."""
    publish(options.serving, snapshot())
    with scorer(options) as started:
        yield started


@pytest.fixture(scope="session")
def rows(options: Options) -> Iterator[Rows]:
    with Redis.from_url(options.redis_url) as redis:
        whole(redis)
        yield Rows(redis)
