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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, TypeVar

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _redis_key, _redis_key_prefix
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from redis import Redis
from redis.commands.core import Script

from contracts.clock import to_micros
from contracts.online import (
    TOMBSTONE_TTL_SECONDS,
    encode_version,
    feature_field,
    timestamp_field,
    tombstone_version,
    version_field,
)
from contracts.online_values import decode_value, encode_timestamp
from feature_repo.scripts import LEAVE_TOMBSTONE, SET_UNLESS_OLDER

ProtoRow = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
Call = TypeVar("Call")

NAME: Literal["feature_repo.store.VersionedRedisOnlineStore"] = "feature_repo.store.VersionedRedisOnlineStore"
EVENTS_SEEN = "events_seen"
CHOICE = "consent_changed_at"
PIPELINED = 500


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a row that a withdrawal takes away.

    Attributes:
        version: rows up to it never land again; where `choice` is None the version held stays if it is greater.
        fields: the hash fields to remove, beside the timestamp.
        choice: field and encoded value of the choice that withdraws: rows made under a later one stay, and they alone
            land again. None for views whose rows do not say under which choice they were made.
    """

    key: bytes
    view: str
    version: tuple[int, int]
    fields: tuple[bytes, ...]
    choice: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True)
class EncodedRow:
    """A row as it goes into its hash: `fields` holds the values and the timestamp, not the version.

    `tombstones` must stand in the store before this row can be read: what a withdrawal takes away.
    """

    key: bytes
    view: str
    version: tuple[int, int]
    fields: Mapping[bytes, bytes]
    tombstones: tuple[Tombstone, ...] = ()

    @property
    def choice(self) -> tuple[bytes, bytes] | None:
        """Field and encoded value of the choice it was made under; None where the view's rows do not say."""
        field = feature_field(self.view, CHOICE)
        return (field, self.fields[field]) if field in self.fields else None

    @property
    def order(self) -> tuple[int, bytes, tuple[int, int]]:
        """Of two rows of one key and view the greater one stays: `SET_UNLESS_OLDER`'s order, choice before version."""
        _, choice = self.choice or (b"", b"")
        return len(choice), choice[::-1], self.version

    @property
    def above_tombstone(self) -> tuple[int, int]:
        """It lands on tombstones of smaller versions than this: by its choice, else by its version."""
        if self.choice is None:
            return self.version
        chosen = decode_value(self.choice[1])
        return tombstone_version(max(0, chosen) if isinstance(chosen, int) else 0)


@dataclass(frozen=True, slots=True)
class Written:
    """How many rows were set, how many lost against what the store held, and how many tombstones were left."""

    rows: int
    older: int
    tombstones: int = 0


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

    def write_rows(
        self,
        config: VersionedRedisOnlineStoreConfig,
        rows: Sequence[EncodedRow],
        tombstones: Sequence[Tombstone] = (),
    ) -> Written:
        """Leave the tombstones, then write rows that are encoded already, in pipelines and in this order.

        Who reads a row of `rows` therefore finds nothing any more that a tombstone takes away.

        Raises:
            redis.RedisError: the store did not answer; what was written stays, writing again is harmless.
        """
        client = self.client(config)
        leave, set_row = client.register_script(LEAVE_TOMBSTONE), client.register_script(SET_UNLESS_OLDER)
        row_ttl, tombstone_ttl = config.key_ttl_seconds or 0, config.tombstone_ttl_seconds
        calls: list[tuple[Script, bytes, list[bytes]]] = [
            *((leave, gone.key, _tombstone_arguments(gone, tombstone_ttl)) for gone in tombstones),
            *((set_row, row.key, _row_arguments(row, row_ttl)) for row in rows),
        ]
        done: list[int] = []
        for some in _batches(calls, PIPELINED):
            with client.pipeline(transaction=False) as pipe:
                for script, key, arguments in some:
                    script(keys=[key], args=arguments, client=pipe)
                done += pipe.execute()
        left, replaced = sum(done[: len(tombstones)]), sum(done[len(tombstones) :])
        return Written(replaced, len(rows) - replaced, left)

    def not_older(
        self, config: VersionedRedisOnlineStoreConfig, rows: Sequence[EncodedRow]
    ) -> list[EncodedRow]:
        """Those of `rows` whose version is not smaller than what the store holds, in one round trip."""
        with self.client(config).pipeline(transaction=False) as pipe:
            for row in rows:
                pipe.hget(row.key, version_field(row.view))  # type: ignore[arg-type] # bytes are fine
            held = pipe.execute()
        pairs = zip(rows, held, strict=True)
        return [row for row, version in pairs if version is None or encode_version(row.version) >= version]

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


def _row_arguments(row: EncodedRow, ttl_seconds: int) -> list[bytes]:
    """As `SET_UNLESS_OLDER` takes them."""
    pairs = [part for pair in row.fields.items() for part in pair]
    return [*_place(row), encode_version(row.above_tombstone), *pairs, str(ttl_seconds).encode()]


def _tombstone_arguments(gone: Tombstone, ttl_seconds: int) -> list[bytes]:
    """As `LEAVE_TOMBSTONE` takes them."""
    return [*_place(gone), str(ttl_seconds).encode(), *gone.fields]


def _place(written: EncodedRow | Tombstone) -> list[bytes]:
    """What both scripts take first: the fields of version, time and choice, and the values that are compared."""
    choice_field, choice = written.choice or (b"", b"")
    fields = [version_field(written.view), timestamp_field(written.view), choice_field]
    return [*fields, choice, encode_version(written.version)]


def _aware(moment: datetime) -> datetime:
    """Feast hands naive times down; they are UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _batches(calls: Sequence[Call], size: int) -> Iterator[list[Call]]:
    left = iter(calls)
    while some := list(islice(left, size)):
        yield some
