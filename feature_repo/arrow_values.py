"""Feast's values on the wire, a column at a time: the bytes that `contracts.online_values` gives one by one. Pure.

A column of values is one Arrow array of bytes, so that a million values cost a few passes over memory and no Python object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contracts.features import FeatureType
from contracts.online import LAST_OF_INSTANT, key_prefix
from contracts.online_values import (
    FLOAT_BYTES,
    FLOAT_LIST_TAG,
    INT64_TAG,
    STRING_LIST_TAG,
    STRING_TAG,
    encode_timestamp,
    varint,
)

Bytes: TypeAlias = "pa.BinaryArray"
"""Without nulls."""
Longs: TypeAlias = npt.NDArray[np.int64]
STRING_KEY = (2).to_bytes(4, "little")
ARROW_TYPES = {
    FeatureType.INT64: pa.int64(),
    FeatureType.STRING: pa.string(),
    FeatureType.STRING_LIST: pa.list_(pa.string()),
    FeatureType.FLOAT_LIST: pa.list_(pa.float32()),
}


def encode_column(column: pa.Array, dtype: FeatureType) -> Bytes:
    """Each value as a serialized Feast `Value`; null is the empty message.

    Raises:
        pa.ArrowInvalid: the column is not of the type, or a list holds a null.
    """
    typed = _typed(column, dtype)
    encoded = ENCODERS[dtype](typed)
    return encoded if typed.null_count == 0 else pc.if_else(typed.is_valid(), encoded, b"")


def encode_columns(columns: Sequence[tuple[pa.Array, FeatureType]]) -> list[Bytes]:
    """`encode_column` of several columns of one length; those of a type go together, since a call costs more than a few rows.

    Raises:
        pa.ArrowInvalid: as `encode_column`.
    """
    encoded: list[Bytes] = [None] * len(columns)
    for dtype in dict.fromkeys(dtype for _, dtype in columns):
        places = [place for place, (_, kind) in enumerate(columns) if kind is dtype]
        typed = [_typed(columns[place][0], dtype) for place in places]
        for place, part in zip(
            places, parts_of(encode_column(pa.concat_arrays(typed), dtype), len(places)), strict=True
        ):
            encoded[place] = part
    return encoded


def parts_of(whole: Bytes, count: int) -> list[Bytes]:
    """So many equal parts, one after the other."""
    size = len(whole) // count
    return [whole.slice(at * size, size) for at in range(count)]


def encode_timestamps(micros: pa.Array) -> Bytes:
    """Epoch microseconds (int64) as serialized protobuf `Timestamp`s; a batch has few different ones."""
    found = micros.dictionary_encode()
    encoded = [encode_timestamp(value) for value in found.dictionary.to_pylist()]
    return pa.array(encoded, pa.binary()).take(found.indices)


def encode_versions(first: pa.Array, second: pa.Array, made_at: pa.Array | None = None) -> Bytes:
    """Row versions as `contracts.online.encode_version` has them: three big-endian numbers (int64, not negative)."""
    parts = [part.to_numpy(zero_copy_only=False) for part in (first, second)]
    parts.append(np.zeros_like(parts[0]) if made_at is None else made_at.to_numpy(zero_copy_only=False))
    return _split(np.column_stack(parts).astype(">u8").tobytes(), np.full(len(first), 24))


def above_tombstones(choices: pa.Array) -> Bytes:
    """Of rows made under these choices (int64, null for none) the versions that a tombstone must be smaller than."""
    chosen = pc.max_element_wise(choices.fill_null(0), 0)
    return encode_versions(chosen, pa.array([LAST_OF_INSTANT] * len(chosen), pa.int64()))


def encode_keys(columns: Sequence[tuple[str, pa.Array]], project: str) -> Bytes:
    """The keys of entities whose join keys are these columns of text, as `contracts.online.redis_key` has them."""
    ordered = sorted(columns, key=lambda column: column[0])
    parts: list[Bytes | bytes] = [key_prefix([name for name, _ in ordered])]
    for _, values in ordered:
        data = values.cast(pa.string()).cast(pa.binary())
        sizes = pc.binary_length(data).to_numpy(zero_copy_only=False).astype("<u4")
        parts += [STRING_KEY, _split(sizes.tobytes(), np.full(len(sizes), 4)), data]
    return joined(*parts, project.encode())


def joined(*parts: Bytes | bytes) -> Bytes:
    """The concatenation of columns, row by row; bytes stand in every row."""
    constant = [pa.scalar(part, pa.binary()) if isinstance(part, bytes) else part for part in parts]
    return pc.binary_join_element_wise(*constant, pa.scalar(b"", pa.binary()))


def sized(values: Bytes, size: Callable[[int], bytes]) -> Bytes:
    """What `size` says of each value's length."""
    lengths = pc.binary_length(values)
    most = pc.max(lengths).as_py() or 0
    # Powers of two, so that few tables are made.
    return _sizes(size, 1 << most.bit_length()).take(lengths)


@lru_cache(maxsize=64)
def _sizes(size: Callable[[int], bytes], below: int) -> Bytes:
    return pa.array([size(length) for length in range(below)], pa.binary())


def _encode_ints(column: pa.Array) -> Bytes:
    """Varints: each number's groups of seven bits, least first, all but the last marked."""
    numbers = column.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    most = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    lengths = np.ones(len(numbers), np.int64)
    whole = np.empty((len(numbers), most + 1), np.uint8)
    whole[:, 0] = INT64_TAG[0]
    for group in range(most):
        rest = numbers >> np.uint64(7 * (group + 1))
        more = rest != 0
        whole[:, group + 1] = (numbers >> np.uint64(7 * group)).astype(np.uint8) & 0x7F | more.astype(
            np.uint8
        ) << 7
        lengths += more
    return _split(whole[np.arange(most + 1) <= lengths[:, None]].tobytes(), lengths + 1)


def _encode_strings(column: pa.Array) -> Bytes:
    data = column.fill_null("").cast(pa.binary())
    return joined(STRING_TAG, sized(data, varint), data)


def _encode_string_lists(column: pa.ListArray) -> Bytes:
    values = column.flatten()
    if values.null_count:
        raise pa.ArrowInvalid("a list of strings holds a null")
    data = values.cast(pa.binary())
    elements = joined(b"\x0a", sized(data, varint), data)
    content = _concatenated(elements, column)
    return joined(STRING_LIST_TAG, sized(content, varint), content)


def _encode_float_lists(column: pa.ListArray) -> Bytes:
    values = column.flatten()
    if values.null_count:
        raise pa.ArrowInvalid("a list of floats holds a null")
    floats = values.to_numpy(zero_copy_only=False).astype("<f4").tobytes()
    packed = _split(floats, _lengths(column) * FLOAT_BYTES)
    # An empty list has no packed field at all.
    tag = pc.if_else(pc.equal(pc.binary_length(packed), 0), b"", b"\x0a")
    size = pc.if_else(pc.equal(pc.binary_length(packed), 0), b"", sized(packed, varint))
    content = joined(tag, size, packed)
    return joined(FLOAT_LIST_TAG, sized(content, varint), content)


ENCODERS: dict[FeatureType, Callable[[pa.Array], Bytes]] = {
    FeatureType.INT64: _encode_ints,
    FeatureType.STRING: _encode_strings,
    FeatureType.STRING_LIST: _encode_string_lists,
    FeatureType.FLOAT_LIST: _encode_float_lists,
}


def _typed(column: pa.Array, dtype: FeatureType) -> pa.Array:
    return column if column.type == ARROW_TYPES[dtype] else column.cast(ARROW_TYPES[dtype])


def _lengths(lists: pa.ListArray) -> Longs:
    lengths: Longs = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


def _concatenated(elements: Bytes, lists: pa.ListArray) -> Bytes:
    """The elements of each list in one piece; they lie beside each other, so that only the cuts change."""
    ends = np.cumsum(pc.binary_length(elements).to_numpy(zero_copy_only=False), dtype=np.int64)
    bounds = np.concatenate(([0], np.cumsum(_lengths(lists))))
    cuts = np.concatenate(([0], ends))[bounds]
    data = elements.buffers()[2] if len(elements) else pa.py_buffer(b"")
    return _pieces(data, cuts)


def _split(data: bytes, lengths: Longs) -> Bytes:
    """`data` cut into pieces of these lengths."""
    return _pieces(pa.py_buffer(data), np.concatenate(([0], np.cumsum(lengths))))


def _pieces(data: pa.Buffer, cuts: Longs) -> Bytes:
    offsets = pa.py_buffer(cuts.astype(np.int32).tobytes())
    return pa.Array.from_buffers(pa.binary(), len(cuts) - 1, [None, offsets, data])
