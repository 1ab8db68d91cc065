"""`kill -9` of any process of the event's way: `up` brings it back, and an event sent meanwhile still arrives."""

from __future__ import annotations

import os
import signal

import pytest
import redis

from contracts.features import SESSION
from contracts.online import decode_version, redis_key, version_field
from contracts.settings import Settings
from infra.demo.topics import wait_for
from infra.publish import Sender
from infra.stack import LocalStack
from tests.flink_jobs.kit import items, unique, wire


def status_of(stack: LocalStack, name: str) -> tuple[str, int | None]:
    [found] = [status for status in stack.status() if status.name == name]
    return found.state, found.pid


def events_seen(settings: Settings, visitor: str) -> int:
    key = redis_key(settings.feast_project, {"visitor_id": visitor, "session_id": "s1"})
    with redis.Redis.from_url(settings.redis_url) as store:
        version = store.execute_command("HGET", key, version_field(SESSION.name))
    return decode_version(version)[1] if version else 0


@pytest.mark.parametrize("name", ["gateway", "feature-writer", "scorer", "kafka"])
def test_a_killed_unit_comes_back_and_no_event_is_lost(
    name: str, stack: LocalStack, settings: Settings
) -> None:
    stack.up()
    state, pid = status_of(stack, name)
    assert (state, pid is not None) == ("running", True)
    os.kill(int(pid or 0), signal.SIGKILL)
    wait_for(f"{name} is seen dead", lambda: status_of(stack, name)[0] == "dead")
    visitor = unique("killed")
    if name != "kafka":  # what comes before the killed process still takes events
        _send(settings, visitor, "e1")
    stack.up()
    assert status_of(stack, name)[0] == "running"
    _send(settings, visitor, "e1")  # a second time where the first was taken: counted once
    _send(settings, visitor, "e2")
    wait_for("both events are stored", lambda: events_seen(settings, visitor) == 2)


def _send(settings: Settings, visitor: str, event_id: str) -> None:
    sender = Sender(settings)
    sender.send(wire("view_item", event_id, visitor, 0, items=items("i1")))
    sender.flush()
