"""The layout of Feast's online store on Redis, so that the scorer reads it without importing Feast.

One hash an entity. Its key is Feast's entity key (serialization version 3) followed by the project; its
fields are the murmur3 hash of `view:feature`, `_ts:view`, and one field of ours, `_v:view`, with the row
version. Values are `contracts.online_values`. tests/feature_repo proves the layout equal to the SDK's.

A tombstone is `_v:view` alone: a withdrawal of consent took the row away. It reads as no row.

Source: Feast 0.67, `feast.infra.key_encoding_utils.serialize_entity_key` and
`feast.infra.online_stores.helpers._redis_key`, `_mmh3`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

from contracts.features import Value, View
from contracts.online_values import decode_timestamp, decode_value, encode_value

__all__ = [
    "HELD",
    "KEY_TTL_SECONDS",
    "PARTITIONS",
    "TOMBSTONE_TTL_SECONDS",
    "StoredRow",
    "decode_row",
    "decode_timestamp",
    "decode_value",
    "decode_version",
    "encode_value",
    "encode_version",
    "feature_field",
    "fields_of",
    "is_whole",
    "key_prefix",
    "murmur3",
    "progress_key",
    "redis_key",
    "timestamp_field",
    "tombstone_version",
    "until_field",
    "version_field",
]

KEY_TTL_SECONDS = 28 * 24 * 3600
"""Redis expiry only frees memory: four times late_horizon, far beyond twice session_horizon."""
TOMBSTONE_TTL_SECONDS = KEY_TTL_SECONDS // 4
"""late_horizon: after it nothing of before the withdrawal is delivered or made again. Longer where a row shares the hash."""

PARTITIONS = "partitions"
HELD = "rebuilding"
"""A field of the writer's progress that a rebuild sets: with it no row is used, whatever the positions say."""
STRING_TYPE = 2
LAST_OF_INSTANT = 2**63 - 1
MASK = 0xFFFFFFFF
UINT32 = struct.Struct("<I")
TYPE_AND_LENGTH = struct.Struct("<II")
VERSION = struct.Struct(">QQQ")


class StoredRow(NamedTuple):
    """A row as it was read.

    `found` is False when the store holds none, or a tombstone; `features` are then the declared defaults. Carried
    columns (`View.carried`) stand among the features, None where missing.
    """

    found: bool
    version: tuple[int, int] | None
    event_time_micros: int | None
    features: dict[str, Value]


def redis_key(project: str, join_keys: Mapping[str, str]) -> bytes:
    """The key of the hash of one entity; every join key of Braid is a string."""
    names = sorted(join_keys)
    values = b"".join(_typed(join_keys[name]) for name in names)
    return _key_prefix(tuple(names)) + values + project.encode()


def key_prefix(names: Sequence[str]) -> bytes:
    """What the keys of all entities with these join keys begin with."""
    return UINT32.pack(len(names)) + b"".join(_typed(name) for name in sorted(names))


@cache
def feature_field(view: str, feature: str) -> bytes:
    """The hash field of one feature: four bytes."""
    return UINT32.pack(murmur3(f"{view}:{feature}".encode()))


@cache
def timestamp_field(view: str) -> bytes:
    """The hash field of the row's event timestamp (protobuf `Timestamp`)."""
    return f"_ts:{view}".encode()


@cache
def version_field(view: str) -> bytes:
    """The hash field of the row version, the one field that stock Feast does not write."""
    return f"_v:{view}".encode()


def encode_version(version: tuple[int, int], made_at: int = 0) -> bytes:
    """24 bytes, big-endian: their order is the versions' order.

    Args:
        made_at: of a stream row, when the job that made it was submitted, epoch ms: of two rows of one version that of the
            later job stays, so that a changed query takes over from the old one.

    Raises:
        struct.error: a part is negative or needs more than 64 bits.
    """
    return VERSION.pack(*version, made_at)


def decode_version(data: bytes) -> tuple[int, int]:
    """The inverse of `encode_version`.

    Raises:
        ValueError: it is not 24 bytes.
    """
    if len(data) != VERSION.size:
        raise ValueError(f"a row version has {VERSION.size} bytes, not {len(data)}")
    first, second, _ = VERSION.unpack(data)
    return first, second


def tombstone_version(changed_at: int) -> tuple[int, int]:
    """The version that a choice made at `changed_at` (epoch µs) leaves.

    No stream row of that choice or an earlier one lands on it, and no batch row of that instant or before.
    """
    return changed_at, LAST_OF_INSTANT


def progress_key(project: str) -> str:
    """The hash in which the feature writer keeps how far it has followed `online_features`."""
    return f"feature-writer:{project}"


def until_field(partition: int) -> str:
    """Its field for a partition that is read again; the field of a position is the partition's number alone."""
    return f"{partition}:until"


def is_whole(progress: Mapping[bytes, bytes]) -> bool:
    """Whether the store holds every row that was written to the topic, but for the newest.

    Not so after a flush, until the writer has read each partition again: a row that is there may then be older than
    the choice about consent that is not.
    """
    wanted = progress.get(PARTITIONS.encode())
    if wanted is None or HELD.encode() in progress:
        return False
    return all(
        str(number).encode() in progress and until_field(number).encode() not in progress
        for number in range(int(wanted))
    )


def fields_of(view: View) -> list[bytes]:
    """The fields of one HMGET that reads the whole view: stored columns, timestamp, version."""
    return list(_fields_of(view))


def decode_row(view: View, values: Sequence[bytes | None]) -> StoredRow:
    """The row that an HMGET of `fields_of(view)` answered.

    Raises:
        ValueError: a value is not in Feast's wire format, or not of a declared type.
    """
    *columns, stamp, version = values
    features = {
        name: default if data is None else decode_value(data)
        for (name, default), data in zip(_defaults_of(view), columns, strict=True)
    }
    if stamp is None:
        # Fields without a timestamp are nobody's row, and still say that something is wrong to who checks them.
        return StoredRow(False, None, None, features)
    return StoredRow(
        found=True,
        version=None if version is None else decode_version(version),
        event_time_micros=decode_timestamp(stamp),
        features=features,
    )


def murmur3(data: bytes) -> int:
    """MurmurHash3 x86 32-bit, seed 0, unsigned (Appleby, SMHasher)."""
    state = 0
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        state ^= _scramble(int.from_bytes(data[at : at + 4], "little"))
        state = (_rotated(state, 13) * 5 + 0xE6546B64) & MASK
    state ^= _scramble(int.from_bytes(data[whole:], "little"))
    return _finished(state ^ len(data))


def _scramble(block: int) -> int:
    return (_rotated(block * 0xCC9E2D51 & MASK, 15) * 0x1B873593) & MASK


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & MASK


def _finished(state: int) -> int:
    state = ((state ^ state >> 16) * 0x85EBCA6B) & MASK
    state = ((state ^ state >> 13) * 0xC2B2AE35) & MASK
    return state ^ state >> 16


def _typed(text: str) -> bytes:
    data = text.encode()
    return TYPE_AND_LENGTH.pack(STRING_TYPE, len(data)) + data


@cache
def _key_prefix(names: tuple[str, ...]) -> bytes:
    return key_prefix(names)


@cache
def _fields_of(view: View) -> tuple[bytes, ...]:
    columns = (feature_field(view.name, name) for name, _ in view.stored_columns)
    return (*columns, timestamp_field(view.name), version_field(view.name))


@cache
def _defaults_of(view: View) -> tuple[tuple[str, Value], ...]:
    declared = ((feature.name, feature.default) for feature in view.features)
    return (*declared, *((name, None) for name in view.carried))
