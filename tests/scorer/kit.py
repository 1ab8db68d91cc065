"""What the scorer's tests share: a tiny shop, its rows in Redis, its records in Kafka, and a running scorer."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec
import numpy as np
from confluent_kafka import Consumer
from redis import Redis

from contracts.clock import to_micros, to_rfc3339
from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, Value, View
from contracts.online import (
    PARTITIONS,
    encode_value,
    encode_version,
    feature_field,
    progress_key,
    redis_key,
    timestamp_field,
    version_field,
)
from contracts.online_values import encode_timestamp
from models.decide.artifacts import set_current, write_snapshot
from models.decide.cohorts import Cohorts
from models.decide.ranker import NUMBERS
from models.decide.sessions import no_sessions
from models.decide.snapshot import Snapshot
from models.decide.words import WORD_BUCKETS
from scorer.app import create_app
from scorer.service import Options, Service, running

NOW = datetime(2011, 9, 2, 12, 0, tzinfo=UTC)
PROJECT = "braid"
# Most popular first; "f" is out of stock.
ITEMS = ("a", "b", "c", "d", "e", "f")
GRANTED_AT = NOW - timedelta(days=10)
Outcome = TypeVar("Outcome")


def micros_ago(**delta: float) -> int:
    return to_micros(NOW - timedelta(**delta))


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def snapshot(kind: str = "item_knn", model_version: str = "knn-1") -> Snapshot:
    """Six items; "b" and "d" in categories; all offered for two days. Neighbours: a → c 0.9, d 0.5, f 0.95; b → e 0.8. Vectors: item n points along axis n.
    Italians take f and d."""
    neighbours = np.full((len(ITEMS), 3), -1, np.int32)
    scores = np.zeros((len(ITEMS), 3), np.float32)
    neighbours[0], scores[0] = (5, 2, 3), (0.95, 0.9, 0.5)
    neighbours[1, 0], scores[1, 0] = 4, 0.8
    return Snapshot(
        ids=ITEMS,
        index={item: n for n, item in enumerate(ITEMS)},
        titles=tuple(f"Title {item}" for item in ITEMS),
        categories=(None, "home > kitchen > mugs", None, "garden", None, None),
        brands=("acme", None, "acme", None, "potter", None),
        price_minor=(250, 100, 1999, 5, 300, 300),
        currency=("GBP",) * len(ITEMS),
        in_stock=np.array([item != "f" for item in ITEMS]),
        offered_at=np.full(len(ITEMS), micros_ago(days=2)),
        campaigns=(None, None, "spring", None, None, None),
        ships_in_days=np.array([-1, 1, 5, -1, -1, -1], np.int32),
        numbers=np.zeros((6, len(NUMBERS)), np.float32),
        vectors=np.eye(len(ITEMS), 64, dtype=np.float32),
        word_vectors=np.zeros((WORD_BUCKETS, 64), np.float32),
        popularity=np.array([6, 5, 4, 3, 2, 1], np.float32),
        neighbours=neighbours,
        scores=scores,
        sessions=no_sessions(len(ITEMS)),
        kind=kind,  # type: ignore[arg-type]
        version="",
        model_version=model_version,
        cut_on="2011-09-01",
        cohorts=Cohorts(["Italy"], np.array([[5, 3]], np.int32), np.array([[1, 0.9]], np.float32)),
    )


def publish(serving: Path, published: Snapshot, tower: bytes | None = None) -> str:
    """Write a snapshot and make it current, as `models publish` does."""
    version = write_snapshot(serving, published, tower, NOW)
    set_current(serving, version)
    return version


def whole(redis: Redis) -> None:
    """What the feature writer says when it has read the topic, unless a writer has said it: of no partitions, in no time."""
    if not redis.exists(progress_key(PROJECT)):
        redis.hset(progress_key(PROJECT), PARTITIONS, "0")


def consent_state(personalization: str, changed_at: int) -> str:
    purposes = dict.fromkeys((f"consent_{purpose}" for purpose in PURPOSES), "granted")
    return state_of(
        {**purposes, "consent_personalization": personalization, "consent_changed_at": changed_at}
    )


@dataclass(frozen=True)
class Rows:
    """Writes rows into Redis in Feast's layout."""

    redis: Redis

    def put(
        self, view: View, key: Mapping[str, str], values: Mapping[str, Value], at: int, seen: int = 1
    ) -> None:
        types = dict(view.stored_columns)
        fields = {
            feature_field(view.name, name): encode_value(value, types[name]) for name, value in values.items()
        }
        times = {
            timestamp_field(view.name): encode_timestamp(at),
            version_field(view.name): encode_version((at, seen)),
        }
        self.redis.hset(redis_key(PROJECT, key), mapping={**fields, **times})

    def consent(
        self,
        shopper_id: str,
        personalization: str,
        changed_at: int = to_micros(GRANTED_AT),
        withdrawn_at: int | None = None,
    ) -> None:
        """A choice; one that does not grant is a withdrawal itself."""
        withdrawn = withdrawn_at if personalization == "granted" else changed_at
        choice: dict[str, Value] = {
            "consent_state": consent_state(personalization, changed_at),
            "consent_withdrawn_at": withdrawn,
        }
        self.put(CONSENT, {"shopper_id": shopper_id}, choice, changed_at)

    def session(self, visitor: str, session: str, at: int, granted_at: int, **values: Value) -> None:
        key = {"visitor_id": visitor, "session_id": session}
        self.put(SESSION, key, {"events_seen": 3, "consent_changed_at": granted_at, **values}, at, seen=3)

    def shopper(self, shopper_id: str, at: int, granted_at: int, **values: Value) -> None:
        made = {"events_seen": 2, "consent_changed_at": granted_at, **values}
        self.put(SHOPPER, {"shopper_id": shopper_id}, made, at, seen=2)

    def user(self, user: str, at: int, **values: Value) -> None:
        self.put(USER, {"user_id": user}, values, at)

    def embedding(self, user: str, at: int, vector: list[float], model: str) -> None:
        values: dict[str, Value] = {"user_vector": vector, "user_vector_model": model}
        self.put(USER_EMBEDDING, {"user_id": user}, values, at)


class Running:
    """A scorer in a loop of its own thread, asked through ASGI."""

    def __init__(self, loop: asyncio.AbstractEventLoop, service: Service) -> None:
        self._loop = loop
        self.service = service
        app = create_app(service)
        self.transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)

    def wait(self, work: Coroutine[Any, Any, Outcome]) -> Outcome:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(
                transport=self.transport, base_url="http://scorer", timeout=30
            ) as client:
                return await client.request(method, path, **more)

        return self.wait(ask())

    def recommend(self, placement: str = "home", **request: Any) -> dict[str, Any]:
        answer = self.request("POST", f"/v1/placements/{placement}:recommend", json=request)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def metric(self, name: str, **labels: str) -> float:
        return self.service.metrics.registry.get_sample_value(f"braid_scorer_{name}", labels) or 0.0


@contextmanager
def scorer(options: Options) -> Iterator[Running]:
    """A started scorer; stopped at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    context = running(options)
    try:
        service = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(60)
        yield Running(loop, service)
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def until(so: Callable[[], bool]) -> None:
    """Wait for something that is to come."""
    deadline = time.monotonic() + 30
    while not so():
        assert time.monotonic() < deadline, "waited 30 s"
        time.sleep(0.02)


def read_topic(
    bootstrap: str, topic: str, wanted: Callable[[str, Any], bool], count: int = 1
) -> list[tuple[str, Any]]:
    """The first `count` records of a topic whose key and value are wanted, oldest first within a partition."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": unique("test"), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    found: list[tuple[str, Any]] = []
    deadline = time.monotonic() + 60
    try:
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None or message.error():
                continue
            key, value = message.key().decode(), msgspec.json.decode(message.value())
            if wanted(key, value):
                found.append((key, value))
    finally:
        consumer.close()
    return found


def wire_event(visitor: str, name: str = "view_item", **changes: Any) -> dict[str, Any]:
    """A valid event as a shop sends it."""
    at = to_rfc3339(NOW)
    return {
        "event_id": unique("event"),
        "event_name": name,
        "schema_version": "1",
        "event_time": at,
        "received_time": at,
        "visitor_id": visitor,
        "session_id": "s1",
        "platform": "web",
        "consent": {**dict.fromkeys(PURPOSES, "granted"), "changed_at": to_rfc3339(GRANTED_AT)},
        "items": [{"item_id": "a", "price": "2.50", "currency": "GBP", "quantity": 2}],
        **changes,
    }
