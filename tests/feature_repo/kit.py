"""What the tests of withdrawals share: rows and tombstones of named entities, and the store they are written to."""

from __future__ import annotations

from typing import Any

from redis import Redis

from contracts.consent import state_of
from contracts.events import PURPOSES
from contracts.features import FeatureType, View
from contracts.online import (
    StoredRow,
    decode_row,
    decode_version,
    encode_value,
    feature_field,
    fields_of,
    redis_key,
    timestamp_field,
    version_field,
)
from contracts.online_values import encode_timestamp
from contracts.settings import Settings
from feature_repo.encoded import EncodedRow, Tombstone
from feature_repo.repo import online_config
from feature_repo.store import VersionedRedisOnlineStore
from feature_repo.withdrawals import tombstones_of


def state(personalization: str, changed_at: int) -> str:
    purposes = dict.fromkeys((f"consent_{purpose}" for purpose in PURPOSES), "granted")
    return state_of(
        {**purposes, "consent_personalization": personalization, "consent_changed_at": changed_at}
    )


def key_of(project: str, view: View, name: str) -> bytes:
    return redis_key(project, dict.fromkeys(view.join_keys, name))


def row(
    project: str, view: View, name: str, version: tuple[int, int], choice: int | None = None
) -> EncodedRow:
    """A row of `view` whose first number, or `consent_changed_at`, says which it is."""
    fields = {feature_field(view.name, feature.name): b"" for feature in view.features}
    if choice is not None:
        fields[feature_field(view.name, "consent_changed_at")] = encode_value(choice, FeatureType.INT64)
    fields[timestamp_field(view.name)] = encode_timestamp(version[0])
    return EncodedRow(key_of(project, view, name), view.name, version, fields)


def tombstone(project: str, view: View, name: str, changed_at: int) -> Tombstone:
    keys = dict.fromkeys(view.join_keys, name)
    (found,) = (t for t in tombstones_of(project, state("denied", changed_at), keys) if t.view == view.name)
    return found


class Online:
    """The store, and what it holds of one entity."""

    def __init__(self, settings: Settings) -> None:
        self.project = settings.feast_project
        self.config = online_config(settings)
        self.store = VersionedRedisOnlineStore()
        self.client: Redis = self.store.client(self.config)

    def write(self, *writes: EncodedRow | Tombstone) -> list[int]:
        """How many rows were set, or tombstones left, by each write: 0 or 1."""
        return [
            self.store.leave_tombstones(self.config, [write])
            if isinstance(write, Tombstone)
            else self.store.write_rows(self.config, [write]).rows
            for write in writes
        ]

    def read(self, view: View, name: str) -> StoredRow:
        values: Any = self.client.hmget(key_of(self.project, view, name), fields_of(view))
        return decode_row(view, values)

    def version(self, view: View, name: str) -> tuple[int, int] | None:
        held: Any = self.client.hget(key_of(self.project, view, name), version_field(view.name))  # type: ignore[arg-type]
        return None if held is None else decode_version(held)

    def seconds_left(self, view: View, name: str) -> int:
        left: Any = self.client.ttl(key_of(self.project, view, name))
        return int(left)
