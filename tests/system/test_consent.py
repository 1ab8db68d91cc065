"""A shopper withdraws consent: nothing is served and no row comes back, whatever is killed, rerun or delivered late."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pyarrow as pa
import pytest
import redis
from confluent_kafka import Consumer, TopicPartition
from deltalake import write_deltalake

from contracts.clock import clear_replay_clock, set_replay_clock
from contracts.consent import granted
from contracts.cuts import Cut
from contracts.features import CONSENT, SESSION, SHOPPER, USER, USER_EMBEDDING, FeatureType, View
from contracts.online import StoredRow, decode_row, fields_of, redis_key, timestamp_field
from contracts.settings import TOPICS, Settings
from contracts.tables import table_named
from feature_repo.materialize import materialize
from feature_repo.repo import apply
from feature_repo.writer import GROUP
from infra.demo.topics import wait_for
from infra.publish import Sender
from infra.stack import LocalStack
from tests.flink_jobs.kit import START, items, wire
from tests.scorer.kit import publish, snapshot

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore::RuntimeWarning")]

YESTERDAY = Cut(date(2011, 9, 1))  # ends 2011-09-02 00:00; what follows is from 08:00
TODAY = Cut(date(2011, 9, 2))
VISITOR, USER_ID, SESSION_ID = "device", "ann", "s1"
SHOPPER_ID = f"user:{USER_ID}"
WHO = {"visitor_id": VISITOR, "session_id": SESSION_ID, "user_id": USER_ID}
ENTITIES: dict[View, dict[str, str]] = {
    SESSION: {"visitor_id": VISITOR, "session_id": SESSION_ID},
    SHOPPER: {"shopper_id": SHOPPER_ID},
    USER: {"user_id": USER_ID},
    USER_EMBEDDING: {"user_id": USER_ID},
}
NOTHING = {"found": False, "age_seconds": None, "version": None}
TIME = pa.timestamp("us", tz="UTC")
ARROW_TYPES = {
    FeatureType.INT64: pa.int64(),
    FeatureType.STRING: pa.string(),
    FeatureType.STRING_LIST: pa.list_(pa.string()),
    FeatureType.FLOAT_LIST: pa.list_(pa.float32()),
}


@dataclass(frozen=True)
class Shop:
    """A whole stack with one shopper, and what can be asked of it."""

    settings: Settings
    stack: LocalStack

    def send(self, name: str, event_id: str, seconds: float, **more: Any) -> None:
        sender = Sender(self.settings)
        sender.send(wire(name, event_id, VISITOR, seconds, user_id=USER_ID, session_id=SESSION_ID, **more))
        sender.flush()

    def read(self, view: View, entity: dict[str, str]) -> StoredRow:
        return self._at_once(view, entity)[0]

    def found(self) -> set[str]:
        """The views of which Redis holds a row of the shopper; a row's every field counts."""
        found = set()
        for view, entity in ENTITIES.items():
            row, held = self._at_once(view, entity)
            gone = set(fields_of(view)[:-1]) | {timestamp_field(view.name)}
            assert row.found or not gone & held
            found |= {view.name} if row.found else set()
        return found

    def _at_once(self, view: View, entity: dict[str, str]) -> tuple[StoredRow, set[Any]]:
        """The row, and the hash's fields at the same moment."""
        key = redis_key(self.settings.feast_project, entity)
        with redis.Redis.from_url(self.settings.redis_url) as store, store.pipeline(transaction=True) as both:
            both.execute_command("HMGET", key, *fields_of(view))
            both.hkeys(key)
            values, held = both.execute()
        return decode_row(view, values), set(held)

    def allows(self) -> bool:
        state = self.read(CONSENT, {"shopper_id": SHOPPER_ID}).features["consent_state"]
        assert state is None or isinstance(state, str)
        return granted(state, "personalization")

    def ask(self, placement: str = "home", **more: Any) -> dict[str, Any]:
        url = f"{self.settings.scorer_url}/v1/placements/{placement}:recommend"
        answer = httpx.post(url, json={**WHO, "count": 3, **more}, timeout=30)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def check_nothing_is_served(self) -> None:
        popular, contextual = self.ask(), self.ask("product", item_id="a")
        assert [answer["degraded"]["rung"] for answer in (popular, contextual)] == ["popular", "contextual"]
        # The most popular; then the neighbours of "a" in stock (c, d) and the most popular left.
        assert _ids(popular) == ["a", "b", "c"]
        assert _ids(contextual) == ["c", "d", "b"]
        for answer in (popular, contextual):
            assert answer["degraded"]["cause"] == "no consent for personalization"
            nothing = dict.fromkeys(("session", "shopper", "user"), NOTHING)
            assert answer["features"] == nothing | {"stage": None}

    def materialize(self, cut: Cut) -> None:
        assert materialize(apply(self.settings), self.settings, cut) == ["user", "user_embedding"]

    def writer_has_read_everything(self) -> bool:
        """Whether the feature writer has committed every record there is, which it does after writing them."""
        consumer = Consumer({"bootstrap.servers": self.settings.kafka_bootstrap, "group.id": GROUP})
        try:
            parts = [TopicPartition(TOPICS.online_features, n) for n in range(self.settings.kafka_partitions)]
            ends = [consumer.get_watermark_offsets(part, timeout=30)[1] for part in parts]
            done = [max(0, part.offset) for part in consumer.committed(parts, timeout=30)]
            return done == ends
        finally:
            consumer.close()


def _ids(answer: dict[str, Any]) -> list[str]:
    return [result["item_id"] for result in answer["results"]]


def write_tables(settings: Settings) -> None:
    """The user's rows of both cuts, as gold and the model made them."""
    values = {
        USER: {"user_purchases_90d": 2, "user_last_items": ["b"]},
        USER_EMBEDDING: {"user_vector": [1.0] + [0.0] * 63, "user_vector_model": "knn-1"},
    }
    for view, features in values.items():
        rows = [
            {
                "user_id": USER_ID,
                **features,
                "cut_on": cut.on,
                "event_timestamp": cut.end,
                "created_timestamp": cut.published_at,
            }
            for cut in (YESTERDAY, TODAY)
        ]
        columns = [(name, ARROW_TYPES[dtype]) for name, dtype in view.stored_columns]
        times = [("cut_on", pa.date32()), ("event_timestamp", TIME), ("created_timestamp", TIME)]
        schema = pa.schema([("user_id", pa.string()), *columns, *times])
        write_deltalake(table_named(view.table).path(settings), pa.Table.from_pylist(rows, schema))


@pytest.fixture(scope="module")
def shop(own_settings: Settings, spark: SparkSession) -> Iterator[Shop]:
    """The stack in the replay's time, a published snapshot, the tables of two cuts."""
    stack = LocalStack(own_settings)
    set_replay_clock(own_settings.clock_file, START + timedelta(minutes=5))
    write_tables(own_settings)
    publish(own_settings.serving, snapshot())
    try:
        stack.up()
        yield Shop(own_settings, stack)
    finally:
        clear_replay_clock(own_settings.clock_file)
        stack.down()


def test_withdrawn_is_gone_and_a_new_grant_starts_empty(shop: Shop) -> None:
    # Before: session, shopper and user rows, and an answer made of them (a → c .9; "d" is muted).
    muted = {"action": "mute", "scope": "item", "value": "d"}
    shop.send("preference_set", "e1", 0, preference=muted)
    shop.send("view_item", "e2", 10, items=items("a"))
    wait_for("the stream's rows are stored", lambda: shop.found() == {"session", "shopper"})
    wait_for(
        "both events are counted", lambda: shop.read(SHOPPER, ENTITIES[SHOPPER]).features["events_seen"] == 2
    )
    shop.materialize(YESTERDAY)
    assert shop.found() == {"session", "shopper", "user", "user_embedding"}
    before = shop.ask()
    assert (before["degraded"]["rung"], _ids(before)[0]) == ("full", "c")
    assert "d" not in _ids(before)
    assert all(before["features"][view]["found"] for view in ("session", "shopper", "user"))
    assert before["features"]["stage"] == "browsing"

    # Withdrawn: from the moment it can be read, there is nothing else to read.
    shop.send("consent_update", "e3", 60, consent="denied", chosen_at=60)
    wait_for("the withdrawal is readable", lambda: not shop.allows())
    assert shop.found() == set()
    shop.check_nothing_is_served()

    # The writer is killed, an event of before arrives late, yesterday's table is materialized again.
    [writer] = [unit for unit in shop.stack.status() if unit.name == "feature-writer"]
    os.kill(writer.pid or 0, signal.SIGKILL)
    shop.send("view_item", "e4", 30, items=items("b"), received_at=90)
    shop.materialize(YESTERDAY)
    assert shop.found() == set()
    shop.check_nothing_is_served()

    # Up again, it reads what it had not committed and what came meanwhile.
    shop.stack.up()
    wait_for(
        "the late event is counted", lambda: shop.read(CONSENT, {"shopper_id": SHOPPER_ID}).version[1] == 4
    )  # type: ignore[index]
    wait_for("the writer has read everything", shop.writer_has_read_everything)
    shop.materialize(YESTERDAY)
    assert shop.found() == set()
    assert not shop.allows()
    shop.check_nothing_is_served()

    # Granted again: only what happened since counts (b → e .8, and "d" is muted no more).
    shop.send("view_item", "e5", 120, items=items("b"), chosen_at=120)
    wait_for("the new grant's rows are stored", lambda: shop.found() == {"session", "shopper"})
    wait_for("the new grant is readable", shop.allows)
    assert shop.read(SESSION, ENTITIES[SESSION]).features["session_last_items"] == ["b"]
    shop.materialize(YESTERDAY)
    assert shop.found() == {"session", "shopper"}
    after = shop.ask(count=5)
    assert (after["degraded"]["rung"], _ids(after)[0]) == ("full", "e")
    assert "d" in _ids(after)
    assert after["features"]["user"] == NOTHING
    shop.materialize(TODAY)
    assert shop.found() == {"session", "shopper", "user", "user_embedding"}
