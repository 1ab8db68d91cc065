"""One shopper, before and after one event: what the demo shows in the terminal and on its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.clock import from_micros, set_replay_clock, to_micros, to_rfc3339
from contracts.settings import Settings
from infra.demo.client import ScorerClient
from infra.demo.plan import Plan
from infra.demo.replay import by_session
from infra.demo.topics import wait_for

SHOWN = 8


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
    """Take a shopper of the replayed day, show the list, send two events, show the new lists."""
    model = _a_shopper(events)
    at = plan.load_at + timedelta(hours=4)
    set_replay_clock(settings.clock_file, at, rate=1.0)
    client = ScorerClient(settings)
    who = {
        "visitor_id": model[0]["visitor_id"],
        "user_id": model[0].get("user_id"),
        "session_id": "demo-story",
    }
    answers, waits = [client.recommend(**who, count=SHOWN)], []
    for n in range(2):
        began = time.perf_counter()
        client.send(_event(model[n], n, to_micros(at) + n * 10_000_000))
        answers.append(_after(client, who, n + 1))
        waits.append(round((time.perf_counter() - began) * 1000))
    added = tuple(model[n]["items"][0]["item_id"] for n in range(2))
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


def _a_shopper(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first known user of the day who consents and adds at least two different items; the additions."""
    for session in by_session(events):
        adds = [event for event in session if event["event_name"] == "add_to_cart"]
        items = {event["items"][0]["item_id"] for event in adds[:2]}
        if (
            adds
            and adds[0].get("user_id")
            and adds[0]["consent"]["personalization"] == "granted"
            and len(items) == 2
        ):
            return adds[:2]
    raise LookupError("the replayed day has no known, consenting user who adds two items")


def _event(like: dict[str, Any], n: int, at_micros: int) -> dict[str, Any]:
    at = to_rfc3339(from_micros(at_micros))
    named = {"event_id": f"demo-story-{n}", "session_id": "demo-story", "event_time": at, "received_time": at}
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
    return f"{row['age_seconds']:.1f} s" if row["found"] and row["age_seconds"] is not None else "not found,"
