"""What a source leaves open about a visitor's events: the session, and since when a consent holds.

Sources say the consent of an event, not when it was chosen. Two events of a visitor with the same choice must carry the
same `changed_at`, for it is part of the session's key; so a choice counts from the first event that shows it, and an
event that says nothing keeps what the visitor said before. Nothing is granted that was not said. What is known goes on
from one day to the next: one `Trails` settles all days of a source in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.adapters.wire import Record
from contracts.events import PURPOSES

PAUSE = timedelta(minutes=30)
"""After so long without an event a new session begins, as in GA4."""
NEVER = "1970-01-01T00:00:00.000000Z"
NOTHING_SAID: Record = {**dict.fromkeys(PURPOSES, "unknown"), "changed_at": NEVER}
"""Older than any choice, so that it replaces none."""


@dataclass(slots=True)
class Trail:
    """What is known of one visitor so far."""

    consent: Record
    newest: datetime | None = None
    session_id: str = ""


class Trails:
    """Settles events in the order they are fed (of a day file: of their time); it remembers every visitor.

    An event that is fed late, from before the visitor's newest choice, is settled by its own word alone and changes
    nothing of what is known: a choice does not reach back.
    """

    def __init__(self) -> None:
        self._of: dict[str, Trail] = {}

    def settle(self, event: Record) -> Record:
        """The event with a session and a consent."""
        trail = self._of.setdefault(event["visitor_id"], Trail(NOTHING_SAID))
        said_now, at = event["consent"], event["event_time"]
        if at < trail.consent["changed_at"]:
            consent = _choice(said_now, NOTHING_SAID, at)
        else:
            consent = trail.consent = _choice(said_now, trail.consent, at)
        session = event["session_id"] or _session(trail, at)
        return {**event, "session_id": session, "consent": consent}


def said(**purposes: str) -> Record:
    """A choice without its time; what it does not name is unknown."""
    return {**dict.fromkeys(PURPOSES, "unknown"), **purposes}


def vouched(event: Record, purposes: tuple[str, ...]) -> Record:
    """The event with what nobody said granted, for purposes that the shop vouches for; a denial stays one."""
    consent = event["consent"]
    granted = {purpose: "granted" for purpose in purposes if consent.get(purpose) == "unknown"}
    return {**event, "consent": {**consent, **granted}}


def _choice(choice: Record | None, before: Record, at: str) -> Record:
    if choice is None or all(before.get(name) == value for name, value in choice.items()):
        return before
    return {"changed_at": at, **choice}


def _session(trail: Trail, event_time: str) -> str:
    """The running session, or one named by the second in which it begins."""
    now = datetime.fromisoformat(event_time)
    if trail.newest is None or now - trail.newest > PAUSE:
        trail.session_id = f"from-{int(now.timestamp())}"
    trail.newest = now if trail.newest is None else max(now, trail.newest)
    return trail.session_id
