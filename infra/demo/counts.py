"""Nothing lost, nothing counted twice: what was produced, what Delta holds, what the online store says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.settings import Settings
from infra.load.online import events_seen_reader

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


def events_seen_online(settings: Settings, sessions: Iterable[str]) -> dict[str, int]:
    """`visitor/session` → `events_seen` of the online store's row, 0 where there is none."""
    read = events_seen_reader(settings)
    named = list(sessions)
    found: dict[str, int] = {}
    for begin in range(0, len(named), PIPELINE):
        part = named[begin : begin + PIPELINE]
        keys = [(visitor, session) for visitor, session in (name.split("/", 1) for name in part)]
        found.update(zip(part, read(keys), strict=True))
    return found
