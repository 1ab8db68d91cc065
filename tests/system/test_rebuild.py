"""What is lost is made again to the same content, and the scorer says meanwhile that it does without."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis

from contracts.clock import clear_replay_clock, set_replay_clock
from contracts.features import SESSION, USER
from contracts.online import feature_field, redis_key
from contracts.settings import Settings
from infra.chaos.check import content
from infra.demo.topics import wait_for
from infra.rebuild import main, newest_cut
from infra.stack import LocalStack
from tests.flink_jobs.kit import START, items, send, wire
from tests.scorer.kit import publish, snapshot
from tests.system.test_consent import TODAY, USER_ID, write_tables

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
VISITORS = 20


@pytest.fixture(scope="module")
def shop(own_settings: Settings) -> Iterator[Settings]:
    """A whole stack with sessions of twenty visitors, one of them a user with rows of a cut."""
    settings, stack = own_settings, LocalStack(own_settings)
    set_replay_clock(settings.clock_file, START + timedelta(minutes=5))
    write_tables(settings)
    publish(settings.serving, snapshot())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAID_VAR", str(settings.var))
        patch.setenv("BRAID_PORT_BASE", str(settings.port_base))
        try:
            stack.up()
            yield settings
        finally:
            clear_replay_clock(settings.clock_file)
            stack.down()


def events() -> list[dict[str, Any]]:
    made = [
        wire(
            "view_item",
            f"e{n}",
            f"v{visitor}",
            n,
            items=items(f"i{n}"),
            user_id=USER_ID if visitor == 0 else None,
        )
        for n in range(5)
        for visitor in range(VISITORS)
    ]
    return [*made, wire("consent_update", "gone", "v3", 60, consent="denied", chosen_at=60)]


def cause(settings: Settings) -> str | None:
    url = f"{settings.scorer_url}/v1/placements/home:recommend"
    answer = httpx.post(
        url, json={"visitor_id": "v0", "session_id": "s1", "user_id": USER_ID, "count": 3}, timeout=30
    )
    assert answer.status_code == 200
    said: str | None = answer.json()["degraded"]["cause"]
    return said


def test_everything_lost_is_made_again(shop: Settings) -> None:
    send(shop, events())
    assert newest_cut(shop) == TODAY.on
    store: Any = redis.Redis.from_url(shop.redis_url)
    # A hash a session, a hash of consent and shopper a device and the user, the user's row; of the one that denied two
    # hashes with tombstones: 20 + 21 + 1.
    wait_for("all rows are stored", lambda: len(content(shop)) == 41)
    assert main(["online"]) == 0
    before = content(shop)
    assert cause(shop) is None

    # Redis flushed, with the writer stopped, so that one can see what is said meanwhile.
    stack = LocalStack(shop)
    stack.down(["feature-writer"])
    store.flushall()
    assert cause(shop) == "the online store is being rebuilt"
    stack.up(["feature-writer"])
    assert main(["online"]) == 0
    assert content(shop) == before
    assert cause(shop) is None

    # The topic lost; Redis serves on.
    assert main(["features"]) == 0
    assert content(shop) == before
    # Both: what the topic holds now is enough to fill Redis again.
    store.flushall()
    assert main(["online", "--cut", TODAY.on.isoformat()]) == 0
    assert content(shop) == before

    # A view of either strand is made anew: here a value of it is wrong.
    wrong = (
        (SESSION, {"visitor_id": "v1", "session_id": "s1"}, "session_events"),
        (USER, {"user_id": USER_ID}, "user_purchases_90d"),
    )
    for view, entity, feature in wrong:
        store.hset(redis_key(shop.feast_project, entity), feature_field(view.name, feature), b"")
        assert content(shop) != before
        assert main(["view", view.name]) == 0
        assert content(shop) == before
    assert cause(shop) is None


def test_a_view_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["view", "nothing"])
    assert "invalid choice: 'nothing'" in capsys.readouterr().err
