"""Feast's Redis online store, but the newer row wins whoever writes last.

Stock Feast reads a row's timestamp and then writes: of two writers the older row can win, and a correction of
the same instant is skipped. Here a script in Redis compares row versions and sets in one step. The hash is
byte for byte stock Feast's, with one more field, `_v:<view>` (`contracts.online`).

A withdrawn consent leaves a tombstone: the version alone, without timestamp and features. A stream row lands on it
only if it was made under a later choice, a batch row only with a strictly greater version: nothing brings back what
was taken away. Of two stream rows that of the later choice stays, then the greater version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _redis_key, _redis_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from redis import Redis

from contracts.clock import to_micros
from contracts.online import (
    TOMBSTONE_TTL_SECONDS,
    feature_field,
    timestamp_field,
    version_field,
)
from contracts.online_values import encode_timestamp
from feature_repo import calls
from feature_repo.encoded import EVENTS_SEEN, EncodedRow, Tombstone
from feature_repo.pipe import Pipe
from feature_repo.scripts import LEAVE_TOMBSTONE, REMOVE_ROW, SET_UNLESS_OLDER
from feature_repo.tables import TableLayout

ROWS_AT_ONCE = 10_000
ProtoRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

NAME: Literal["feature_repo.store.VersionedRedisOnlineStore"] = "feature_repo.store.VersionedRedisOnlineStore"


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were set, and how many lost against what the store held."""

    rows: int
    older: int


class VersionedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Feast finds this class by the store's name.

    `tombstone_ttl_seconds`: how long a hash with nothing but tombstones is kept.
    """

    type: Literal["feature_repo.store.VersionedRedisOnlineStore"] = NAME  # type: ignore[assignment]
    tombstone_ttl_seconds: int = TOMBSTONE_TTL_SECONDS


class VersionedRedisOnlineStore(RedisOnlineStore):
    """Replaces a row unless it is newer, by choice and version, and a tombstone if that is older; in one atomic step.

    Older rows are dropped and counted.

    Attributes:
        older_dropped: rows that `online_write_batch` dropped since the store was opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.older_dropped = 0
        self._pipes: dict[str, Pipe] = {}

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[ProtoRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Feast's own way in, a protobuf a value; `ColumnProvider` hands tables to `write_table` instead."""
        rows = [encode_proto_row(config.project, table.name, row) for row in data]
        self.older_dropped += self.write_rows(config.online_store, rows).older
        if progress:
            progress(len(rows))

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[ProtoRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """The same; stock Feast's own asynchronous write would go past the versions."""
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def write_rows(self, config: VersionedRedisOnlineStoreConfig, rows: Sequence[EncodedRow]) -> Written:
        """Write rows that are encoded already, in pipelines and in this order.

        Raises:
            redis.RedisError: the store did not answer; what was written stays, writing again is harmless.
        """
        pipe, ttl = self._pipe(config, SET_UNLESS_OLDER), config.key_ttl_seconds or 0
        replaced = sum(pipe.call(calls.set_row(pipe.sha, row, ttl) for row in rows))
        return Written(replaced, len(rows) - replaced)

    def write_table(self, config: RepoConfig, view: FeatureView, rows: pa.Table) -> Written:
        """Write a table of a view's rows, encoded by columns, some thousand rows at a time.

        Raises:
            ValueError: a column is missing or has a wrong type. Parts before may have been written; again is harmless.
            redis.RedisError: the store did not answer; what was written stays.
        """
        layout = TableLayout.of(config.project, view)
        parts = (layout.columns(part) for part in rows.to_batches(max_chunksize=ROWS_AT_ONCE))
        done = [self.write_columns(config.online_store, part) for part in parts]
        written = Written(sum(part.rows for part in done), sum(part.older for part in done))
        self.older_dropped += written.older
        return written

    def write_columns(self, config: VersionedRedisOnlineStoreConfig, rows: calls.Columns) -> Written:
        """Write rows whose columns are encoded already, in pipelines and in this order."""
        pipe = self._pipe(config, SET_UNLESS_OLDER)
        replaced = sum(pipe.call(calls.set_rows(pipe.sha, rows, config.key_ttl_seconds or 0)))
        return Written(replaced, len(rows.keys) - replaced)

    def not_older(
        self, config: VersionedRedisOnlineStoreConfig, view: str, places: Sequence[tuple[bytes, bytes]]
    ) -> list[bool]:
        """Of which (key, encoded version) the version is not smaller than that of the row held, in one round trip."""
        fields = [version_field(view), timestamp_field(view)]
        with self.client(config).pipeline(transaction=False) as pipe:
            for key, _ in places:
                pipe.hmget(key, fields)  # type: ignore[arg-type] # bytes are fine
            held = pipe.execute()
        pairs = zip(places, held, strict=True)
        # A tombstone of the view is no row: an erasure does not say that a withdrawal before it was carried out.
        return [stamp is None or found is None or version >= found for (_, version), (found, stamp) in pairs]

    def leave_tombstones(
        self, config: VersionedRedisOnlineStoreConfig, tombstones: Sequence[Tombstone]
    ) -> int:
        """Take rows away; returns how many tombstones were left. Who reads after this finds the rows no more."""
        pipe = self._pipe(config, LEAVE_TOMBSTONE)
        ttl = config.tombstone_ttl_seconds
        return sum(pipe.call(calls.leave_tombstone(pipe.sha, gone, ttl) for gone in tombstones))

    def client(self, config: RedisOnlineStoreConfig) -> Redis:
        """The connection that reads and writes use; it connects when first used."""
        client: Redis = self._get_client(config)
        return client

    def _pipe(self, config: VersionedRedisOnlineStoreConfig, script: str) -> Pipe:
        if script not in self._pipes:
            self._pipes[script] = Pipe(self.client(config), script)
        return self._pipes[script]

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete a view's rows; a hash that holds nothing else goes with them. Tombstones stay: what they took away is gone."""
        pipe = self._pipe(config.online_store, REMOVE_ROW)
        names = (feature_field(table.name, feature.name) for feature in table.features)
        fields = [timestamp_field(table.name), version_field(table.name), *names]
        keys = pipe.client.scan_iter(
            _redis_key_prefix(table.join_keys) + b"*" + config.project.encode(), count=1000
        )
        pipe.call(calls.remove_row(pipe.sha, key, fields) for key in keys)


def encode_proto_row(project: str, view: str, row: ProtoRow) -> EncodedRow:
    """A row of Feast's provider interface; its version is (event time, `events_seen`), else (event time, created)."""
    entity, values, event_time, created = row
    event_micros = to_micros(_aware(event_time))
    if EVENTS_SEEN in values:
        second = values[EVENTS_SEEN].int64_val
    else:
        second = to_micros(_aware(created)) if created else 0
    fields = {feature_field(view, name): value.SerializeToString() for name, value in values.items()}
    fields[timestamp_field(view)] = encode_timestamp(event_micros)
    return EncodedRow(_redis_key(project, entity, 3), view, (event_micros, second), fields)


def _aware(moment: datetime) -> datetime:
    """Feast hands naive times down; they are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
