"""One shopper, before and after one event: what the demo shows in the terminal and on its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.clock import REFRESH_SECONDS, set_replay_clock, to_rfc3339
from contracts.errors import BraidError
from contracts.settings import Settings
from infra.demo.client import ScorerClient
from infra.demo.plan import Plan
from infra.demo.replay import by_session
from infra.demo.topics import wait_for

SHOWN = 8
SESSION_ID = "demo-story"


class NoShopperError(BraidError):
    """No shopper of the day can tell the story."""


@dataclass(frozen=True, slots=True)
class Story:
    """The answers before the first event, after one and after two, and what was added to the cart."""

    visitor_id: str
    user_id: str | None
    added: tuple[str, ...]
    answers: tuple[dict[str, Any], ...]
    waited_ms: tuple[int, ...]

    @property
    def changed(self) -> bool:
        """Whether one event changed the list."""
        return ids_of(self.answers[0]) != ids_of(self.answers[1])


def ids_of(answer: dict[str, Any]) -> list[str]:
    return [result["item_id"] for result in answer["results"]]


def tell(settings: Settings, plan: Plan, events: Sequence[dict[str, Any]]) -> Story:
    """Take a known shopper of the replayed day, show the list, send two events, show the new lists."""
    set_replay_clock(settings.clock_file, plan.load_at + timedelta(hours=4), rate=1.0)
    # Until the scorer shows it, too: of four hours before, it would refuse the event as received in the future.
    time.sleep(2 * REFRESH_SECONDS)
    client = ScorerClient(settings)
    adds, who, first = _a_shopper(client, events)
    answers, waits = [first], []
    for n in range(2):
        began = time.perf_counter()
        client.send(_event(adds[n], n, settings.clock().now()))
        answers.append(_after(client, who, n + 1))
        waits.append(round((time.perf_counter() - began) * 1000))
    added = tuple(event["items"][0]["item_id"] for event in adds)
    return Story(who["visitor_id"], who["user_id"], added, tuple(answers), tuple(waits))


def show(console: Console, story: Story) -> None:
    """The three lists side by side, with reasons and feature ages."""
    table = Table(
        title=f"One shopper ({story.user_id or story.visitor_id}): the list after each event",
        show_lines=False,
    )
    heads = ("at first", *(f"after adding {item}" for item in story.added))
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in zip(*(answer["results"] for answer in story.answers), strict=False):
        table.add_row(
            *(f"{result['item_id']} {result['title']}\n  [dim]{_why(result)}[/dim]" for result in row)
        )
    console.print(table)
    for answer, waited in zip(story.answers[1:], story.waited_ms, strict=True):
        session, user = answer["features"]["session"], answer["features"]["user"]
        console.print(
            f"  changed {waited} ms after the event was sent; session row {_age(session)} old, "
            f"user row {_age(user)} old; rung {answer['degraded']['rung']}; model {answer['model_version']}",
            highlight=False,
        )


def _a_shopper(
    client: ScorerClient, events: Sequence[dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """The first shopper whose list the last cut makes and who adds two different items: additions, ids, answer."""
    for session in by_session(events):
        adds = [event for event in session if event["event_name"] == "add_to_cart"][:2]
        if len({event["items"][0]["item_id"] for event in adds}) < 2 or not adds[0].get("user_id"):
            continue
        who = {"visitor_id": adds[0]["visitor_id"], "user_id": adds[0]["user_id"], "session_id": SESSION_ID}
        first = client.recommend(**who, count=SHOWN)
        if first["features"]["user"]["found"] and first["degraded"]["level"] == 0:
            return adds, who, first
    raise NoShopperError("the replayed day has no shopper whom the last cut knows and who adds two items")


def _event(like: dict[str, Any], n: int, at: datetime) -> dict[str, Any]:
    text = to_rfc3339(at)
    named = {
        "event_id": f"{SESSION_ID}-{n}",
        "session_id": SESSION_ID,
        "event_time": text,
        "received_time": text,
    }
    return {**like, **named}


def _after(client: ScorerClient, who: dict[str, Any], seen: int) -> dict[str, Any]:
    answer: dict[str, Any] = {}

    def arrived() -> bool:
        nonlocal answer
        answer = client.recommend(**who, count=SHOWN)
        version = answer["features"]["session"]["version"]
        return bool(version) and version[1] >= seen

    wait_for("the scorer saw the shopper's event", arrived, poll_seconds=0.02)
    return answer


def _why(result: dict[str, Any]) -> str:
    return "; ".join(result["reasons"])


def _age(row: dict[str, Any]) -> str:
    if not row["found"] or row["age_seconds"] is None:
        return "none yet, not"
    seconds = row["age_seconds"]
    return f"{seconds:.1f} s" if seconds < 3600 else f"{seconds / 86_400:.1f} days"
