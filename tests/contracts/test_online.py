"""What is not in the online layout is a ValueError, whatever the bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.features import CONSENT, USER_EMBEDDING, FeatureType
from contracts.online import decode_row, decode_version, encode_version, fields_of, is_whole
from contracts.online_values import decode_timestamp, decode_value, encode_value


@pytest.mark.parametrize("size", [0, 16, 23, 25])
def test_a_version_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"24 bytes, not {size}"):
        decode_version(b"\0" * size)
    assert decode_version(encode_version((7, 2))) == (7, 2)
    # Of one version the later job's row is greater; no job makes up for a version.
    assert encode_version((7, 2)) < encode_version((7, 2), 9) < encode_version((7, 3), 8)


@pytest.mark.parametrize(
    ("progress", "whole"),
    [
        ({}, False),
        ({"partitions": 0}, True),
        ({"partitions": 2, "0": 5, "1": 7}, True),
        ({"partitions": 2, "0": 5}, False),
        # Two writers after a flush, of which one has not noticed: as many fields as a whole one has.
        ({"partitions": 2, "1": 0, "1:until": 9}, False),
        ({"partitions": 2, "0": 5, "1": 0, "1:until": 9}, False),
        ({"partitions": 2, "0": 5, "1": 7, "rebuilding": 1}, False),
        # The topic was made anew with fewer partitions.
        ({"partitions": 1, "0": 5, "1": 7, "1:until": 9}, True),
    ],
)
def test_a_store_is_whole_when_each_partition_is(progress: dict[str, int], whole: bool) -> None:
    assert is_whole({name.encode(): str(value).encode() for name, value in progress.items()}) is whole


def test_half_a_float_is_refused() -> None:
    # List of 7 bytes: tag, length 5, and five bytes where floats have four each.
    with pytest.raises(ValueError, match="5 bytes"):
        decode_value(b"\x82\x01\x07\x0a\x05" + b"\0" * 5)
    assert decode_value(encode_value([0.5, -2.0], FeatureType.FLOAT_LIST)) == [0.5, -2.0]


@given(
    st.binary(max_size=30),
    st.sampled_from((b"", b"\x12", b"\x20", b"\x62", b"\x82\x01", b"\x82\x01\x09\x0a")),
)
def test_no_bytes_raise_anything_else(data: bytes, start: bytes) -> None:
    for decode in (decode_value, decode_timestamp, decode_version):
        with contextlib.suppress(ValueError):
            decode(start + data)
    for view in (CONSENT, USER_EMBEDDING):
        with contextlib.suppress(ValueError):
            decode_row(view, [start + data] * len(fields_of(view)))
