"""Nothing lost, nothing counted twice: what was produced, what Delta holds, what the online store says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import redis

from contracts import online
from contracts.features import SESSION
from contracts.settings import Settings

PIPELINE = 500


@dataclass(frozen=True, slots=True)
class Losses:
    """Events missing from, and events counted more than once in, the stored sessions."""

    lost: int
    duplicated: int


def lost_and_duplicated(expected: Mapping[str, int], seen: Mapping[str, int]) -> Losses:
    """Compare events per session: fewer seen than expected is lost, more is duplicated."""
    sessions = expected.keys() | seen.keys()
    gaps = [seen.get(session, 0) - expected.get(session, 0) for session in sessions]
    return Losses(sum(-gap for gap in gaps if gap < 0), sum(gap for gap in gaps if gap > 0))


def events_seen_online(settings: Settings, sessions: Iterable[tuple[str, str]]) -> dict[str, int]:
    """`visitor/session` → `events_seen` of the online store's row, 0 where there is none."""
    store = redis.Redis.from_url(settings.redis_url)
    keys = list(sessions)
    fields = online.fields_of(SESSION)
    found: dict[str, int] = {}
    for begin in range(0, len(keys), PIPELINE):
        part = keys[begin : begin + PIPELINE]
        pipeline = store.pipeline(transaction=False)
        for visitor, session in part:
            key = online.redis_key(settings.feast_project, {"visitor_id": visitor, "session_id": session})
            pipeline.hmget(key, fields)
        for (visitor, session), values in zip(part, pipeline.execute(), strict=True):
            version = online.decode_row(SESSION, values)[1]
            found[f"{visitor}/{session}"] = version[1] if version else 0
    return found
