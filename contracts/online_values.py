"""Feast's values on the wire: the protobuf messages `Value` and `Timestamp`, for the declared types alone.

An unset value is the empty message and reads as None; an empty list is a set, empty list message.

Source: Feast 0.67, `feast/types/Value.proto` (field numbers), https://protobuf.dev/programming-guides/encoding
(wire format), `google/protobuf/timestamp.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from contracts.features import FeatureType, Value

STRING_TAG = b"\x12"  # field 2, length-delimited
INT64_TAG = b"\x20"  # field 4, varint
STRING_LIST_TAG = b"\x62"  # field 12, length-delimited
FLOAT_LIST_TAG = b"\x82\x01"  # field 16, length-delimited
NULL_TAG = b"\x98\x01"  # field 19, varint
ELEMENT_TAG = 0x0A  # field 1, length-delimited: each string, or all floats packed
FLOAT_BYTES = 4
MICROS = 1_000_000
WORD = 1 << 64


def encode_value(value: Value, dtype: FeatureType) -> bytes:
    """`value` as a serialized Feast `Value`; None is the empty message."""
    return b"" if value is None else ENCODERS[dtype](value)


def decode_value(data: bytes) -> Value:
    """The value of a serialized Feast `Value`.

    Raises:
        ValueError: it is cut short, or of a type that no feature is declared with.
    """
    if len(data) <= SHORT and data in SHORT_VALUES:
        return SHORT_VALUES[data]
    tag = data[0]
    if tag == INT64_TAG[0]:
        return _signed(_varint(data, 1)[0])
    if tag == STRING_TAG[0]:
        size, at = _varint(data, 1)
        return _slice(data, at, size).decode()
    if tag == STRING_LIST_TAG[0]:
        return _strings(data)
    if data[:2] == FLOAT_LIST_TAG:
        return _floats(data)
    if data[:2] == NULL_TAG:
        return None
    raise ValueError(f"field tag {data[:2]!r} is not a declared feature type")


def encode_timestamp(micros: int) -> bytes:
    """Epoch microseconds (not negative) as a serialized protobuf `Timestamp`."""
    seconds, rest = divmod(micros, MICROS)
    first = b"\x08" + varint(seconds) if seconds else b""
    return first + (b"\x10" + varint(rest * 1000) if rest else b"")


def decode_timestamp(data: bytes) -> int:
    """Epoch microseconds of a serialized protobuf `Timestamp`.

    Raises:
        ValueError: it is not one.
    """
    at = seconds = nanos = 0
    while at < len(data):
        tag = data[at]
        if tag == 0x08:
            seconds, at = _varint(data, at + 1)
        elif tag == 0x10:
            nanos, at = _varint(data, at + 1)
        else:
            raise ValueError(f"field tag {tag:#x} is not part of a Timestamp")
    return _signed(seconds) * MICROS + nanos // 1000


def varint(number: int) -> bytes:
    """A base-128 varint; negative numbers as 64-bit two's complement."""
    number %= WORD
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _encode_int(value: int) -> bytes:
    return INT64_TAG + varint(value)


def _encode_string(value: str) -> bytes:
    return STRING_TAG + _sized(value.encode())


def _encode_strings(value: Sequence[str]) -> bytes:
    return STRING_LIST_TAG + _sized(b"".join(b"\x0a" + _sized(text.encode()) for text in value))


def _encode_floats(value: Sequence[float]) -> bytes:
    packed = struct.pack(f"<{len(value)}f", *value)
    return FLOAT_LIST_TAG + _sized(b"\x0a" + _sized(packed) if packed else b"")


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data


ENCODERS: dict[FeatureType, Callable[..., bytes]] = {
    FeatureType.INT64: _encode_int,
    FeatureType.STRING: _encode_string,
    FeatureType.STRING_LIST: _encode_strings,
    FeatureType.FLOAT_LIST: _encode_floats,
}


SHORT = 3
SHORT_VALUES: dict[bytes, Value] = {b"": None, **{_encode_int(number): number for number in range(1 << 14)}}
"""Most numbers of a row are counts: looking them up costs a tenth of reading them."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned varint at `at` and the position after it."""
    number = shift = 0
    try:
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, at
            shift += 7
    except IndexError:
        raise ValueError("a number is cut short") from None


def _signed(number: int) -> int:
    return number - WORD if number >> 63 else number


def _slice(data: bytes, at: int, size: int) -> bytes:
    piece = data[at : at + size]
    if len(piece) != size:
        raise ValueError("a value is cut short")
    return piece


def _strings(data: bytes) -> list[str]:
    """Each string has its own tag and length; nearly every length is one byte, which is read in place."""
    size, at = _varint(data, 1)
    end = at + size
    if end != len(data):
        raise ValueError("a list is cut short")
    found: list[str] = []
    while at < end:
        if data[at] != ELEMENT_TAG:
            raise ValueError(f"field tag {data[at]:#x} is not part of a list")
        start = at + 2
        size = data[at + 1] if start <= end else WORD
        if size > 0x7F:
            size, start = _varint(data, at + 1)
        at = start + size
        if at > end:
            raise ValueError("a list is cut short")
        found.append(data[start:at].decode())
    return found


def _floats(data: bytes) -> list[float]:
    size, at = _varint(data, 2)
    if size == 0:
        return []
    if _slice(data, at, 1)[0] != ELEMENT_TAG:
        raise ValueError(f"field tag {data[at]:#x} is not part of a list")
    size, at = _varint(data, at + 1)
    if size % FLOAT_BYTES:
        raise ValueError(f"{size} bytes are no whole number of floats")
    return list(struct.unpack(f"<{size // FLOAT_BYTES}f", _slice(data, at, size)))
