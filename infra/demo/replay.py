"""Replays a day through Kafka while the scorer is asked: does a click change the next answer for the better?

Before each item a shopper adds, two lists are asked: with the session (updated by every event so far) and
without it (the list from session start). Items already in the cart are excluded on both sides. HR@20 is the
share of lists that hold the item added next. With the stream off the two are equal.

The replay's clock is the watermark of the sessions in flight: the earliest event time among them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.clock import set_replay_clock
from contracts.settings import Settings
from infra.demo.client import ScorerClient
from infra.demo.topics import wait_for
from infra.publish import Sender

LIST_LENGTH = 20
SESSIONS_IN_FLIGHT = 12
MAX_TARGETS = 40
"""Of one session: a wholesaler's invoice of 700 lines must not decide the figure alone."""
CONTEXT = ("device", "channel", "country", "campaign")
"""What a request may say of the visit."""

Session = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Lift:
    """Hits of both lists over the same targets."""

    targets: int
    hits_updated: int
    hits_start: int

    @property
    def hr20_updated(self) -> float:
        return self.hits_updated / self.targets if self.targets else 0.0

    @property
    def hr20_start(self) -> float:
        return self.hits_start / self.targets if self.targets else 0.0


def by_session(events: Sequence[dict[str, Any]]) -> list[Session]:
    """Group wire events by (visitor, session), in the order of their first events."""
    sessions: dict[tuple[str, str], Session] = {}
    for event in events:
        sessions.setdefault((event["visitor_id"], event["session_id"]), []).append(event)
    return sorted(sessions.values(), key=lambda session: session[0]["event_time"])


class Watermark:
    """Sets the replay's clock to the earliest event time of the sessions in flight."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.clock_file
        self._lock = threading.Lock()
        self._at: dict[str, str] = {}

    def advance(self, session_id: str, event_time: str) -> None:
        with self._lock:
            self._at[session_id] = event_time
            set_replay_clock(self._file, _moment(min(self._at.values())), rate=0.0)

    def finish(self, session_id: str) -> None:
        with self._lock:
            self._at.pop(session_id, None)


def replay(settings: Settings, events: Sequence[dict[str, Any]]) -> Lift:
    """Send the day's events session by session and compare the two lists before each added item."""
    watermark = Watermark(settings)
    worker = threading.local()

    def run(session: Session) -> Lift:
        if not hasattr(worker, "client"):
            worker.client, worker.sender = ScorerClient(settings), Sender(settings)
        try:
            return _replay_session(session, worker.client, worker.sender, watermark)
        finally:
            watermark.finish(session[0]["session_id"])

    with ThreadPoolExecutor(SESSIONS_IN_FLIGHT) as pool:
        lifts = list(pool.map(run, by_session(events)))
    return total(lifts)


def total(lifts: Sequence[Lift]) -> Lift:
    """The sum of several sessions' hits and targets."""
    return Lift(
        sum(lift.targets for lift in lifts),
        sum(lift.hits_updated for lift in lifts),
        sum(lift.hits_start for lift in lifts),
    )


def _replay_session(session: Session, client: ScorerClient, sender: Sender, watermark: Watermark) -> Lift:
    lifts: list[Lift] = []
    carted: list[str] = []
    for sent, event in enumerate(session):
        watermark.advance(event["session_id"], event["event_time"])
        item = event["items"][0]["item_id"] if event.get("items") else None
        adds = event["event_name"] == "add_to_cart"
        if adds and sent and item not in carted and len(lifts) < MAX_TARGETS:
            lifts.append(_compare(client, event, str(item), carted, sent))
        sender.send(event)
        if adds:
            carted.append(str(item))
    sender.flush()
    return total(lifts)


def _compare(client: ScorerClient, event: dict[str, Any], item: str, carted: list[str], sent: int) -> Lift:
    """The two lists before `item` is added, the updated one after all `sent` events have arrived."""
    who = {"visitor_id": event["visitor_id"], "user_id": event.get("user_id")}
    said = event.get("context") or {}
    who["context"] = {name: said[name] for name in CONTEXT if name in said}
    asked = {**who, "count": LIST_LENGTH, "exclude_items": list(dict.fromkeys(carted))}
    updated = client.recommend(**asked, session_id=event["session_id"])
    if event["consent"]["personalization"] == "granted":

        def arrived() -> bool:
            nonlocal updated
            updated = client.recommend(**asked, session_id=event["session_id"])
            return _events_seen(updated) >= sent

        if _events_seen(updated) < sent:
            wait_for(f"session {event['session_id']} shows {sent} events", arrived, poll_seconds=0.05)
    start = client.recommend(**asked)  # only now: before, the shopper's consent may not have arrived
    return Lift(1, int(item in _ids(updated)), int(item in _ids(start)))


def _events_seen(answer: dict[str, Any]) -> int:
    version = answer["features"]["session"]["version"]
    return version[1] if version else 0


def _ids(answer: dict[str, Any]) -> set[str]:
    return {result["item_id"] for result in answer["results"]}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC) + timedelta(seconds=1)
