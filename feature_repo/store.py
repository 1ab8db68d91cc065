"""Feast's Redis online store, but the newer row wins whoever writes last.

Stock Feast reads a row's timestamp and then writes: of two writers the older row can win, and a correction of
the same instant is skipped. Here a script in Redis compares row versions and sets in one step. The hash is
byte for byte stock Feast's, with one more field, `_v:<view>` (`contracts.online`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _redis_key, _redis_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from redis import Redis

from contracts.clock import to_micros
from contracts.online import encode_version, feature_field, timestamp_field, version_field
from contracts.online_values import encode_timestamp

ProtoRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]

NAME: Literal["feature_repo.store.VersionedRedisOnlineStore"] = "feature_repo.store.VersionedRedisOnlineStore"
EVENTS_SEEN = "events_seen"
PIPELINED = 500
# Versions are equally long, so the first differing byte decides; Lua's own string order follows the locale.
SET_UNLESS_OLDER = """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held then
  for at = 1, #held do
    local is, was = string.byte(ARGV[2], at), string.byte(held, at)
    if is < was then return 0 end
    if is > was then break end
  end
end
redis.call('HSET', KEYS[1], ARGV[1], unpack(ARGV, 2, #ARGV - 1))
if ARGV[#ARGV] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[#ARGV]) end
return 1
"""


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as it goes into its hash: `fields` holds the values and the timestamp, not the version."""

    key: bytes
    view: str
    version: tuple[int, int]
    fields: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were set, and how many were older than what the store held."""

    rows: int
    older: int


class VersionedRedisOnlineStoreConfig(RedisOnlineStoreConfig):
    """Feast finds this class by the store's name."""

    type: Literal["feature_repo.store.VersionedRedisOnlineStore"] = NAME  # type: ignore[assignment]


class VersionedRedisOnlineStore(RedisOnlineStore):
    """Replaces a row on a greater or equal version, in one atomic step; older rows are dropped and counted.

    Attributes:
        older_dropped: rows that `online_write_batch` dropped since the store was opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.older_dropped = 0

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[ProtoRow],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Feast's way in: materialization, push and `write_to_online_store` come here."""
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

    def write_rows(self, config: RedisOnlineStoreConfig, rows: Sequence[EncodedRow]) -> Written:
        """Write rows that are encoded already, in pipelines.

        Raises:
            redis.RedisError: the store did not answer; what was written stays, writing again is harmless.
        """
        client = self.client(config)
        script = client.register_script(SET_UNLESS_OLDER)
        ttl_seconds = str(config.key_ttl_seconds or 0).encode()
        replaced = 0
        for some in _batches(rows, PIPELINED):
            with client.pipeline(transaction=False) as pipe:
                for row in some:
                    script(keys=[row.key], args=_arguments(row, ttl_seconds), client=pipe)
                replaced += sum(pipe.execute())
        return Written(replaced, len(rows) - replaced)

    def client(self, config: RedisOnlineStoreConfig) -> Redis:
        """The connection that reads and writes use; it connects when first used."""
        client: Redis = self._get_client(config)
        return client

    def delete_table(self, config: RepoConfig, table: FeatureView) -> None:
        """Delete a view's rows, their versions too."""
        super().delete_table(config, table)
        client = self.client(config.online_store)
        pattern = _redis_key_prefix(table.join_keys) + b"*" + config.project.encode()
        for key in client.scan_iter(pattern):
            client.hdel(key, version_field(table.name))  # type: ignore[arg-type] # bytes are fine


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


def _arguments(row: EncodedRow, ttl_seconds: bytes) -> list[bytes]:
    """The version's field and value, the other fields and values, the seconds to live."""
    pairs = [part for pair in row.fields.items() for part in pair]
    return [version_field(row.view), encode_version(row.version), *pairs, ttl_seconds]


def _aware(moment: datetime) -> datetime:
    """Feast hands naive times down; they are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _batches(rows: Sequence[EncodedRow], size: int) -> Iterator[list[EncodedRow]]:
    left = iter(rows)
    while some := list(islice(left, size)):
        yield some
