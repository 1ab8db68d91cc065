"""Records of the topic `online_features`, as rows of the online store.

The shape of each view's record is built from its declaration; msgspec checks types while it decodes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import attrgetter, or_
from typing import Annotated, Any, TypeAlias

import msgspec
import pyarrow as pa

from contracts.errors import UNREADABLE, BraidError
from contracts.features import CONSENT, VIEWS, FeatureType, Strand, View
from contracts.online import encode_version, feature_field, redis_key, timestamp_field
from feature_repo.arrow_values import (
    ARROW_TYPES,
    above_tombstones,
    encode_columns,
    encode_keys,
    encode_timestamps,
    encode_versions,
)
from feature_repo.calls import Columns
from feature_repo.encoded import CHOICE, Tombstone
from feature_repo.withdrawals import keys_of, tombstones_of

Record: TypeAlias = Any
"""A struct that `record_type` made: join keys, version and features of one view's row."""
INT64 = pa.int64()
MADE_AT = "made_at"
"""When the job that made the row was submitted, epoch ms: the last part of its version."""
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
    """What is computed once a view.

    Attributes:
        columns: its columns with their types and hash fields.
        key: of a record, what tells entities apart.
        order: of two records of a key the greater one stays: `SET_UNLESS_OLDER`'s order, choice before version.
        choice: the hash field of the choice; None where the rows do not say.
    """

    view: View
    columns: tuple[tuple[str, FeatureType, bytes], ...]
    key: Callable[[Record], Any]
    order: Callable[[Record], Any]
    choice: bytes | None

    @classmethod
    def of(cls, view: View) -> Layout:
        columns = ((name, dtype, feature_field(view.name, name)) for name, dtype in view.stored_columns)
        version: list[Callable[[Record], int]] = [attrgetter(name) for name in view.version]
        version.append(attrgetter(MADE_AT))
        parts = [_choice_of, *version] if view.starts_empty else version
        return cls(
            view,
            tuple(columns),
            attrgetter(*view.join_keys),
            lambda record: tuple(part(record) for part in parts),
            feature_field(view.name, CHOICE) if view.starts_empty else None,
        )


def _choice_of(record: Record) -> int:
    """A record that does not say under which choice it was made is of none."""
    chosen = record.consent_changed_at
    return -1 if chosen is None else int(chosen)


STREAM_VIEWS = tuple(view for view in VIEWS if view.strand is Strand.STREAM)
LAYOUTS = {view.name: Layout.of(view) for view in STREAM_VIEWS}


def record_type(view: View) -> type[msgspec.Struct]:
    """The record of `view`: tagged by `view`, keys and version required, features null where absent."""
    required = [(key, Key) for key in view.join_keys] + [(name, Version) for name in view.version]
    made: list[Any] = [(MADE_AT, Version, 0)]
    optional = [
        (name, PYTHON_TYPES[dtype] | None, None)
        for name, dtype in view.stored_columns
        if name not in view.version
    ]
    return msgspec.defstruct(
        f"{view.name}_record", [*required, *made, *optional], tag_field="view", tag=view.name
    )


class Forgotten(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="view", tag="forgotten"):
    """Not a row: an entity is erased, and nothing that was known of it before `at` (epoch µs) is stored again.

    Attributes:
        key: values of join keys; the views whose keys are all here lose the entity's row.
    """

    at: Version
    key: dict[str, Key]


DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    reduce(or_, map(record_type, STREAM_VIEWS), Forgotten)
)


def read_record(value: bytes) -> Record:
    """The row that one record of the topic holds.

    Raises:
        PoisonError: it is not JSON, of no stream view, or a key, version or type is wrong.
    """
    try:
        return DECODER.decode(value)
    except UNREADABLE as error:
        raise PoisonError(str(error)) from None


def newest_records(records: Iterable[Record]) -> dict[str, list[Record]]:
    """By view the newest record of each key, by choice, then version, as the store decides; of equal ones the later one."""
    newest: dict[str, dict[Any, Record]] = defaultdict(dict)
    for record in records:
        if isinstance(record, Forgotten):
            continue
        layout = layout_of(record)
        held = newest[layout.view.name]
        key = layout.key(record)
        if key not in held or layout.order(record) >= layout.order(held[key]):
            held[key] = record
    return {view: list(held.values()) for view, held in newest.items()}


def columns_of(project: str, view: str, records: Sequence[Record]) -> Columns:
    """Records of one view as columns of bytes."""
    layout = LAYOUTS[view]
    first, second = (_values(records, name, INT64) for name in layout.view.version)
    values = [(_values(records, name, ARROW_TYPES[dtype]), dtype) for name, dtype, _ in layout.columns]
    names = (field for _, _, field in layout.columns)
    fields = list(zip(names, encode_columns(values), strict=True))
    versions = encode_versions(first, second, _values(records, MADE_AT, INT64))
    return Columns(
        view,
        encode_keys([(key, _values(records, key, pa.string())) for key in layout.view.join_keys], project),
        versions,
        above_tombstones(_values(records, CHOICE, INT64)) if layout.choice else versions,
        [*fields, (timestamp_field(view), encode_timestamps(first))],
        layout.choice,
    )


def withdrawn(project: str, record: Record) -> tuple[Tombstone, ...]:
    """The tombstones that a consent record brings along; none where it grants, or is of another view."""
    if isinstance(record, Forgotten) or layout_of(record).view is not CONSENT:
        return ()
    keys = keys_of(record.shopper_id, record.consent_visitor_id, record.consent_session_id)
    return tombstones_of(project, record.consent_state, keys)


def place_of(project: str, record: Record) -> tuple[bytes, bytes]:
    """The record's key in the store, and its encoded version."""
    view = layout_of(record).view
    first, second = (getattr(record, name) for name in view.version)
    key = redis_key(project, {name: getattr(record, name) for name in view.join_keys})
    return key, encode_version((first, second), record.made_at)


def layout_of(record: Record) -> Layout:
    """What is computed once of the record's view."""
    return LAYOUTS[record.__struct_config__.tag]


def _values(records: Sequence[Record], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array(list(map(attrgetter(name), records)), kind)
