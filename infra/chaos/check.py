"""What Redis holds in the end, against the log: every event once, every row as recomputed, and no other row.

Trends are left out: what comes after a window's end is not counted, and where that is depends on the kills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import Redis

from contracts.features import CONSENT, SESSION, SHOPPER, View
from contracts.online import decode_row, fields_of, is_whole, progress_key, redis_key, timestamp_field
from contracts.reference import stream_rows
from contracts.settings import TOPICS, Settings
from infra.parity.topics import flat_events

VIEWS = (SESSION, SHOPPER, CONSENT)
AT_ONCE = 5_000
EXAMPLES = 5
VERSION_BYTES = 16
"""Of a version's field: after it stands which job made the row."""


@dataclass(slots=True)
class Found:
    """Events of sessions that are missing or counted again, rows that differ from the recomputation, and some of them."""

    events: int = 0
    rows: int = 0
    lost: int = 0
    duplicated: int = 0
    differences: int = 0
    examples: list[str] = field(default_factory=list)


def check(settings: Settings, produced: Mapping[str, int]) -> Found:
    """Hold Redis against what was produced (by `visitor/session`), and against the reference over the topic `events`."""
    events, store = flat_events(settings, TOPICS.events), Redis.from_url(settings.redis_url)
    found, missing = Found(events=len(events)), dict(produced)
    for view in VIEWS:
        expected = _expected(settings, view, events)
        found.rows += len(expected)
        held = _held(settings, store, view, list(expected))
        for key, row in expected.items():
            stored = held[key]
            if view is SESSION and (wanted := missing.pop("/".join(key), None)) is not None:
                seen = int(stored["events_seen"] or 0)
                found.lost += max(0, wanted - seen)
                found.duplicated += max(0, seen - wanted)
            if stored != row:
                found.differences += 1
                if len(found.examples) < EXAMPLES:
                    found.examples.append(f"{view.name} {key}: {_unlike(stored, row)}")
        strangers = _strangers(settings, store, view, expected)
        found.differences += len(strangers)
        found.examples += [f"{view.name} {key!r} is of no event" for key in strangers[:EXAMPLES]]
    found.lost += sum(missing.values())
    return found


def store_is_whole(settings: Settings) -> bool:
    """Whether readers use it."""
    held: Any = Redis.from_url(settings.redis_url).hgetall(progress_key(settings.feast_project))
    return is_whole(held)


def _strangers(
    settings: Settings, store: Any, view: View, expected: Mapping[tuple[str, ...], Any]
) -> list[bytes]:
    """Keys that hold a row of the view, though no event makes one."""
    ours = {
        redis_key(settings.feast_project, dict(zip(view.join_keys, key, strict=True))) for key in expected
    }
    names = [key for key in store.scan_iter(count=1000, _type="hash") if key not in ours]
    found: list[bytes] = []
    for some in _pieces(names):
        pipe = store.pipeline(transaction=False)
        for key in some:
            pipe.hexists(key, timestamp_field(view.name))
        found += [key for key, there in zip(some, pipe.execute(), strict=True) if there]
    return found


def content(settings: Settings) -> dict[bytes, dict[bytes, bytes]]:
    """Everything in Redis but how far the writer came; without what only says which job made a row."""
    store: Any = Redis.from_url(settings.redis_url)
    progress = progress_key(settings.feast_project).encode()
    keys = [key for key in store.scan_iter(count=1000) if key != progress]
    found: dict[bytes, dict[bytes, bytes]] = {}
    for some in _pieces(keys):
        pipe = store.pipeline(transaction=False)
        for key in some:
            pipe.hgetall(key)
        for key, held in zip(some, pipe.execute(), strict=True):
            found[key] = {
                name: value[:VERSION_BYTES] if name[:3] == b"_v:" else value for name, value in held.items()
            }
    return found


def _expected(
    settings: Settings, view: View, events: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, ...], dict[str, Any]]:
    """By join key the row of the newest choice."""
    rows = stream_rows(view, events, settings)
    newest: dict[tuple[str, ...], dict[str, Any]] = {}
    for group, row in rows.items():
        # What follows the join keys is the choice that the row was made under.
        key = group[: len(view.join_keys)]
        if key not in newest or _place(row) > _place(newest[key]):
            newest[key] = row
    names = [name for name, _ in view.stored_columns]
    return {key: {name: row[name] for name in names} for key, row in newest.items()}


def _place(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return row.get("consent_changed_at") or 0, row["newest_event_time"], row["events_seen"]


def _held(
    settings: Settings, store: Any, view: View, keys: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], dict[str, Any]]:
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for some in _pieces(keys):
        pipe = store.pipeline(transaction=False)
        for key in some:
            entity = dict(zip(view.join_keys, key, strict=True))
            pipe.execute_command("HMGET", redis_key(settings.feast_project, entity), *fields_of(view))
        for key, values in zip(some, pipe.execute(), strict=True):
            found[key] = decode_row(view, values).features
    return found


def _unlike(stored: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    name = next(name for name in row if stored.get(name) != row[name])
    return f"{name} is {stored.get(name)!r}, recomputed {row[name]!r}"


def _pieces(whole: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for at in range(0, len(whole), AT_ONCE):
        yield whole[at : at + AT_ONCE]
