"""What the load reads: the items on offer, and how many events of a session the online store has counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import redis

from contracts.errors import BraidError
from contracts.features import SESSION
from contracts.online import decode_version, redis_key, version_field
from contracts.settings import Settings
from infra.simulator.live import LiveItem
from models.decide.artifacts import open_snapshot

SessionKey = tuple[str, str]
EventsSeen = Callable[[Sequence[SessionKey]], list[int]]
"""(visitor_id, session_id) of some sessions → how many events each row has counted, 0 without a row."""


class LoadError(BraidError):
    """The load cannot run: something it needs is not there."""


def events_seen_reader(settings: Settings) -> EventsSeen:
    """Reads the session rows' versions from Redis in one round trip; not for several threads at once."""
    # Feast keys are bytes, which the stubs of redis do not allow.
    store: Any = redis.Redis.from_url(settings.redis_url)
    field = version_field(SESSION.name)

    def read(sessions: Sequence[SessionKey]) -> list[int]:
        pipeline = store.pipeline(transaction=False)
        for visitor, session in sessions:
            join_keys = {"visitor_id": visitor, "session_id": session}
            pipeline.hget(redis_key(settings.feast_project, join_keys), field)
        return [decode_version(version)[1] if version else 0 for version in pipeline.execute()]

    return read


def served_items(settings: Settings) -> list[LiveItem]:
    """The items in stock of the snapshot that serves.

    Raises:
        LoadError: nothing has been published yet.
    """
    current = settings.serving / "current.json"
    try:
        version = json.loads(current.read_text())["version"]
        served = open_snapshot(settings.serving / version)
    except FileNotFoundError as error:
        raise LoadError(
            f"no snapshot serves yet ({error.filename}): run `python -m models publish`"
        ) from error
    columns = (served.ids, served.price_minor, served.currency, served.in_stock)
    return [
        LiveItem(i, int(price), currency or "")
        for i, price, currency, here in zip(*columns, strict=True)
        if here
    ]
