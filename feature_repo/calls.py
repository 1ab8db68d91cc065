"""The store's scripts as packed calls (RESP), row by row and a table at a time; both give the same bytes. Pure.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec (arrays of bulk strings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from hiredis import pack_command

from contracts.online import encode_version, timestamp_field, version_field
from feature_repo.arrow_values import Bytes, joined, parts_of, sized
from feature_repo.encoded import EncodedRow, Tombstone


@dataclass(frozen=True, slots=True)
class Columns:
    """A table of one view's rows as bytes, a column each, in the order of the rows.

    Attributes:
        fields: encoded values by hash field, the timestamp's among them.
        choice: the hash field of the choice; None where the view's rows do not say.
        above: the version that a tombstone must be smaller than.
    """

    view: str
    keys: Bytes
    versions: Bytes
    above: Bytes
    fields: Sequence[tuple[bytes, Bytes]]
    choice: bytes | None = None


def set_row(sha: bytes, row: EncodedRow, ttl_seconds: int) -> bytes:
    """A call of `SET_UNLESS_OLDER`."""
    pairs = [part for pair in row.fields.items() for part in pair]
    above, ttl = encode_version(row.above_tombstone), str(ttl_seconds).encode()
    return _packed(b"EVALSHA", sha, b"1", row.key, *_place(row), above, *pairs, ttl)


def leave_tombstone(sha: bytes, gone: Tombstone, ttl_seconds: int) -> bytes:
    """A call of `LEAVE_TOMBSTONE`."""
    ttl = str(ttl_seconds).encode()
    return _packed(b"EVALSHA", sha, b"1", gone.key, *_place(gone), ttl, *gone.fields)


def remove_row(sha: bytes, key: bytes, fields: Sequence[bytes]) -> bytes:
    """A call of `REMOVE_ROW`; the timestamp's field comes first."""
    return _packed(b"EVALSHA", sha, b"1", key, *fields)


def set_rows(sha: bytes, rows: Columns, ttl_seconds: int) -> list[bytes]:
    """Calls of `SET_UNLESS_OLDER`, one a row."""
    values = dict(rows.fields)
    choice = values[rows.choice] if rows.choice is not None else b""
    pairs = [part for pair in rows.fields for part in pair]
    names = (version_field(rows.view), timestamp_field(rows.view), rows.choice or b"")
    arguments: list[Bytes | bytes] = [
        b"EVALSHA", sha, b"1", rows.keys, *names, choice, rows.versions, rows.above, *pairs, str(ttl_seconds).encode(),
    ]  # fmt: skip
    packed: list[Bytes] = joined(*_bulk_strings(arguments)).to_pylist()
    return packed


def _bulk_strings(arguments: Sequence[Bytes | bytes]) -> list[Bytes | bytes]:
    """The parts of one call; those that are the same in every row grow together."""
    columns = [argument for argument in arguments if not isinstance(argument, bytes)]
    sizes = iter(parts_of(sized(pa.concat_arrays(columns), _size), len(columns)))
    parts: list[Bytes | bytes] = []
    same = b"*%d\r\n" % len(arguments)
    for argument in arguments:
        if isinstance(argument, bytes):
            same += _size(len(argument)) + argument + b"\r\n"
        else:
            parts += [same, next(sizes), argument]
            same = b"\r\n"
    return [*parts, same]


def _packed(*arguments: bytes) -> bytes:
    packed: bytes = pack_command(arguments)  # type: ignore[arg-type] # the stub knows tuples of one
    return packed


def _size(length: int) -> bytes:
    return b"$%d\r\n" % length


def _place(written: EncodedRow | Tombstone) -> list[bytes]:
    """What both scripts take first: the fields of version, time and choice, and the values that are compared."""
    choice_field, choice = written.choice or (b"", b"")
    fields = [version_field(written.view), timestamp_field(written.view), choice_field]
    return [*fields, choice, encode_version(written.version)]
