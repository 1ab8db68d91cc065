"""Which rows of the online store a withdrawn consent or an erasure takes away, and the tombstones it leaves. Pure.

Generic over the declared views: those whose join keys are named; a withdrawal takes the ones that need `personalization`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from contracts.consent import changed_at_of, granted
from contracts.features import VIEWS, FeatureType, View
from contracts.online import encode_value, feature_field, redis_key, tombstone_version
from feature_repo.encoded import CHOICE, Tombstone

PURPOSE = "personalization"
PERSONAL_VIEWS = tuple(view for view in VIEWS if view.purpose == PURPOSE)


def tombstones_of(project: str, state: str | None, keys: Mapping[str, str]) -> tuple[Tombstone, ...]:
    """The tombstones of one consent row; none where it grants, or says nothing that can be read.

    Args:
        state: as `contracts.consent` encodes it. A reader takes an unreadable one for no grant.
        keys: the values of `keys_of`.
    """
    try:
        if state is None or granted(state, PURPOSE):
            return ()
        changed_at = changed_at_of(state)
    except ValueError:
        return ()
    return _tombstones(project, PERSONAL_VIEWS, keys, changed_at)


def erased(project: str, keys: Mapping[str, str], at: int) -> tuple[Tombstone, ...]:
    """The tombstones of one entity that is erased at `at` (epoch µs): in every view, that of its choices too."""
    return _tombstones(project, VIEWS, keys, at)


def _tombstones(
    project: str, views: Sequence[View], keys: Mapping[str, str], at: int
) -> tuple[Tombstone, ...]:
    named = [view for view in views if keys.keys() >= set(view.join_keys)]
    return tuple(_tombstone(project, view, keys, at) for view in named)


def keys_of(shopper_id: str, visitor_id: str | None, session_id: str | None) -> dict[str, str]:
    """The join keys that a consent row names: its own, the user in it, and the newest event's device and session.

    A user's row names no row of guests on the device: those hang on the device's own consent row (`visitor:`).
    """
    kind, _, name = shopper_id.partition(":")
    found = {"shopper_id": shopper_id, "visitor_id": visitor_id, "session_id": session_id}
    if kind == "user":
        found["user_id"] = name
    return {key: value for key, value in found.items() if value}


def newest_tombstones(tombstones: Iterable[Tombstone]) -> list[Tombstone]:
    """The newest of each key and view."""
    newest: dict[tuple[bytes, str], Tombstone] = {}
    for tombstone in tombstones:
        place = (tombstone.key, tombstone.view)
        if place not in newest or tombstone.version > newest[place].version:
            newest[place] = tombstone
    return list(newest.values())


def _tombstone(project: str, view: View, keys: Mapping[str, str], changed_at: int) -> Tombstone:
    choice = None
    if view.starts_empty:
        choice = (feature_field(view.name, CHOICE), encode_value(changed_at, FeatureType.INT64))
    key = redis_key(project, {name: keys[name] for name in view.join_keys})
    return Tombstone(key, view.name, tombstone_version(changed_at), _fields_of(view), choice)


@cache
def _fields_of(view: View) -> tuple[bytes, ...]:
    return tuple(feature_field(view.name, name) for name, _ in view.stored_columns)
