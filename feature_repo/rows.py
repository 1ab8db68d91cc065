"""Records of the topic `online_features`, as rows of the online store.

The shape of each view's record is built from its declaration; msgspec checks types while it decodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import msgspec

from contracts.errors import BraidError
from contracts.features import CONSENT, VIEWS, FeatureType, Strand, View
from contracts.online import encode_value, feature_field, redis_key, timestamp_field
from contracts.online_values import encode_timestamp
from feature_repo.encoded import EncodedRow, Tombstone
from feature_repo.withdrawals import keys_of, tombstones_of

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Version = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Key = Annotated[str, msgspec.Meta(min_length=1)]
PYTHON_TYPES: dict[FeatureType, Any] = {
    FeatureType.INT64: Int64,
    FeatureType.STRING: str,
    FeatureType.STRING_LIST: list[str],
    FeatureType.FLOAT_LIST: list[float],
}


class PoisonError(BraidError):
    """A record of the topic is not a row of a declared stream view."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What is computed once a view: its columns with their types and hash fields."""

    view: View
    columns: tuple[tuple[str, FeatureType, bytes], ...]

    @classmethod
    def of(cls, view: View) -> Layout:
        columns = ((name, dtype, feature_field(view.name, name)) for name, dtype in view.stored_columns)
        return cls(view, tuple(columns))


STREAM_VIEWS = tuple(view for view in VIEWS if view.strand is Strand.STREAM)
LAYOUTS = {view.name: Layout.of(view) for view in STREAM_VIEWS}


def record_type(view: View) -> type[msgspec.Struct]:
    """The record of `view`: tagged by `view`, keys and version required, features null where absent."""
    required = [(key, Key) for key in view.join_keys] + [(name, Version) for name in view.version]
    optional = [
        (name, PYTHON_TYPES[dtype] | None, None)
        for name, dtype in view.stored_columns
        if name not in view.version
    ]
    return msgspec.defstruct(f"{view.name}_record", [*required, *optional], tag_field="view", tag=view.name)


DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(reduce(or_, map(record_type, STREAM_VIEWS)))


def read_row(project: str, value: bytes) -> EncodedRow:
    """The row that one record holds; a consent row that does not grant brings its tombstones along.

    Raises:
        PoisonError: it is not JSON, of no stream view, or a key, version or type is wrong.
    """
    try:
        record = DECODER.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PoisonError(str(error)) from None
    layout = LAYOUTS[record.__struct_config__.tag]
    view = layout.view
    event_micros, seen = (getattr(record, name) for name in view.version)
    fields = {field: encode_value(getattr(record, name), dtype) for name, dtype, field in layout.columns}
    fields[timestamp_field(view.name)] = encode_timestamp(event_micros)
    key = redis_key(project, {name: getattr(record, name) for name in view.join_keys})
    tombstones = _withdrawn(project, record) if view is CONSENT else ()
    return EncodedRow(key, view.name, (event_micros, seen), fields, tombstones)


def _withdrawn(project: str, record: Any) -> tuple[Tombstone, ...]:
    keys = keys_of(record.shopper_id, record.consent_visitor_id, record.consent_session_id)
    return tombstones_of(project, record.consent_state, keys)


def newest_rows(rows: Iterable[EncodedRow]) -> list[EncodedRow]:
    """The newest row of each key and view, by choice, then version; of equal ones the later one."""
    newest: dict[tuple[bytes, str], EncodedRow] = {}
    for row in rows:
        held = newest.get((row.key, row.view))
        if held is None or row.order >= held.order:
            newest[row.key, row.view] = row
    return list(newest.values())
