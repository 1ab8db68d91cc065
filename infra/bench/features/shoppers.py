"""Shoppers in the online store: rows of every view and type, some of them missing, some taken away by a withdrawal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
from feast import FeatureStore

from contracts.clock import to_micros
from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, FeatureType, Value, View
from contracts.online import PARTITIONS, progress_key
from contracts.settings import Settings
from feature_repo.arrow_values import ARROW_TYPES
from feature_repo.definitions import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from feature_repo.repo import online_config
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.withdrawals import tombstones_of
from scorer.wire import RecommendRequest

AT = datetime(2011, 9, 2, 8, tzinfo=UTC)
MISSING, WITHDRAWN, NULL = 0.1, 0.05, 0.05
"""Shares of rows that were never written, of shoppers who withdrew, and of values that are null."""
MOST_IN_LIST = 20
DIMENSIONS = 64

Row = dict[str, Value]


def request_of(number: int) -> RecommendRequest:
    """What a shopper who is logged in and has a session sends."""
    return RecommendRequest(
        visitor_id=f"bench-v{number}", session_id=f"s{number}", user_id=f"bench-u{number}"
    )


def keys_of(number: int) -> dict[str, str]:
    """Every join key of that shopper."""
    return {
        "shopper_id": f"user:bench-u{number}",
        "visitor_id": f"bench-v{number}",
        "session_id": f"s{number}",
        "user_id": f"bench-u{number}",
    }


def write_shoppers(settings: Settings, feast: FeatureStore, shoppers: int, seed: int) -> dict[str, int]:
    """Write them; how many rows of each view, and how many tombstones."""
    store, chance = VersionedRedisOnlineStore(), Random(seed)
    # No topic is followed here: the scorer would take the store for one that is being rebuilt.
    store.client(online_config(settings)).hset(progress_key(settings.feast_project), PARTITIONS, "0")
    written = {}
    for view in (CONSENT, SHOPPER, SESSION, USER, USER_EMBEDDING):
        table = _table(view, [row for number in range(shoppers) for row in _rows_of(view, number, chance)])
        found = store.write_table(feast.config, feast.get_feature_view(view.name), table)
        written[view.name] = found.rows
    withdrawn = [number for number in range(shoppers) if chance.random() < WITHDRAWN]
    state = _withdrawal(AT + timedelta(hours=1))
    gone = [t for number in withdrawn for t in tombstones_of(settings.feast_project, state, keys_of(number))]
    return written | {"tombstones": store.leave_tombstones(online_config(settings), gone)}


def _rows_of(view: View, number: int, chance: Random) -> list[Row]:
    """The rows of one shopper: of consent that of the device too."""
    keys: list[Mapping[str, str]] = [keys_of(number)]
    if view is CONSENT:
        keys.append({"shopper_id": f"visitor:bench-v{number}"})
    return [_row(view, key, chance) for key in keys if chance.random() >= MISSING]


def _row(view: View, keys: Mapping[str, str], chance: Random) -> Row:
    row: Row = {key: keys[key] for key in view.join_keys}
    for name, dtype in view.stored_columns:
        kept = name in view.carried or chance.random() >= NULL
        row[name] = _value(dtype, chance) if kept else None
    for name in view.carried:
        row[name] = (
            chance.randrange(1, 500) if name == "events_seen" else to_micros(AT) - chance.randrange(10**9)
        )
    return row


def _value(dtype: FeatureType, chance: Random) -> Value:
    if dtype is FeatureType.INT64:
        return chance.randrange(100) if chance.random() < 0.7 else chance.randrange(-(2**40), 2**53)
    if dtype is FeatureType.STRING:
        return chance.choice(("", "web", "Größe ☕", "x" * chance.randrange(200)))
    size = chance.randrange(MOST_IN_LIST + 1)
    if dtype is FeatureType.STRING_LIST:
        return [f"{chance.randrange(20_000, 90_000)}é"[: chance.randrange(4, 7)] for _ in range(size)]
    return [chance.randrange(-(2**20), 2**20) / 2**20 for _ in range(DIMENSIONS)]


def _table(view: View, rows: list[Row]) -> pa.Table:
    types: dict[str, Any] = {name: ARROW_TYPES[dtype] for name, dtype in view.stored_columns}
    types |= dict.fromkeys(view.join_keys, pa.string())
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    times = pa.array([AT] * len(rows), pa.timestamp("us", "UTC"))
    return pa.table({**columns, EVENT_TIMESTAMP: times, CREATED_TIMESTAMP: times})


def _withdrawal(at: datetime) -> str:
    purposes = dict.fromkeys((f"consent_{purpose}" for purpose in PURPOSES), "denied")
    return state_of({**purposes, "consent_changed_at": to_micros(at)})
