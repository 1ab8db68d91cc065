"""The rungs of an answer, over a real Redis: which rows are used, and what the answer says of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contracts.clock import to_micros
from contracts.features import SESSION, USER, FeatureType
from contracts.online import (
    encode_value,
    encode_version,
    feature_field,
    redis_key,
    tombstone_version,
    version_field,
)
from scorer.service import Options
from tests.scorer.kit import GRANTED_AT, PROJECT, Rows, Running, micros_ago, scorer, unique

GRANT = to_micros(GRANTED_AT)
POPULAR = ["a", "b", "c", "d", "e"]  # "f" is out of stock


def ids(answer: dict[str, Any]) -> list[str]:
    return [result["item_id"] for result in answer["results"]]


def shopper(rows: Rows, *, session_at: int | None = None, user_at: int | None = None) -> dict[str, str]:
    """A shopper who grants personalization, looked at "a" in this session and chose "b" before."""
    who = {"visitor_id": unique("v"), "session_id": "s1", "user_id": unique("u")}
    rows.consent(f"user:{who['user_id']}", "granted")
    if session_at is not None:
        rows.session(who["visitor_id"], "s1", session_at, GRANT, session_last_items=["a"])
    if user_at is not None:
        rows.user(who["user_id"], user_at, user_last_items=["b"])
    return who


def test_the_session_leads_and_says_so(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=90))
    answer = braid.recommend(**who, count=3)
    # The neighbours of "a" are f 0.95 (not in stock), c 0.9 and d 0.5; the third is the most popular left.
    assert ids(answer) == ["c", "d", "a"]
    first = answer["results"][0]
    assert (first["title"], first["price"], first["currency"]) == ("Title c", "19.99", "GBP")
    assert (first["source"], round(first["score"], 4)) == ("item_knn", 0.9)
    assert "Title a" in first["reasons"][0]
    assert answer["degraded"] == {"level": 0, "rung": "full", "cause": None}
    assert answer["features"]["session"] == {
        "found": True,
        "age_seconds": 90.0,
        "version": [micros_ago(seconds=90), 3],
    }
    assert answer["features"]["user"]["found"] is False
    assert answer["model_version"] == "knn-1"
    assert answer["snapshot_version"].startswith("2011-09-01-knn-1-")
    assert answer["decision_id"] in answer["attribution_token"]


def test_one_event_changes_the_list(braid: Running, rows: Rows) -> None:
    who = shopper(rows, user_at=micros_ago(hours=10))
    before = braid.recommend(**who, count=1)
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=1), GRANT, session_last_items=["a"])
    after = braid.recommend(**who, count=1)
    # b → e 0.8 at first; then a → c 0.9 beside it.
    assert (ids(before), ids(after)) == (["e"], ["c"])


def test_with_the_stream_off_a_session_changes_nothing(braid: Running, rows: Rows) -> None:
    who = shopper(rows, user_at=micros_ago(hours=10))  # no session row ever arrives
    without = {name: value for name, value in who.items() if name != "session_id"}
    assert braid.recommend(**who)["results"] == braid.recommend(**without)["results"]


def test_carted_shown_and_excluded_items_stay_out(braid: Running, rows: Rows) -> None:
    who = shopper(rows)
    carted = {"session_last_items": ["a"], "session_last_carted": ["a"]}
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=5), GRANT, **carted)
    answer = braid.recommend("product", **who, item_id="c", exclude_items=["b", "no-such-item"])
    assert ids(answer) == ["d", "e"]
    assert "added" in answer["results"][0]["reasons"][0]


def test_an_old_session_leaves_the_user_row(braid: Running, rows: Rows) -> None:
    budget = SESSION.freshness_seconds
    fresh = shopper(rows, session_at=micros_ago(seconds=budget), user_at=micros_ago(hours=10))
    old = shopper(rows, session_at=micros_ago(seconds=budget + 1), user_at=micros_ago(hours=10))
    assert braid.recommend(**fresh)["degraded"]["level"] == 0
    answer = braid.recommend(**old)
    assert ids(answer)[0] == "e"
    assert answer["degraded"]["rung"] == "stale_session"
    assert "3601 s old" in answer["degraded"]["cause"]
    assert answer["features"]["session"]["age_seconds"] == 3601.0


def test_an_unreadable_session_leaves_the_user_row(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5), user_at=micros_ago(hours=10))
    key = redis_key(PROJECT, {"visitor_id": who["visitor_id"], "session_id": "s1"})
    rows.redis.hset(key, feature_field("session", "session_last_items"), b"\xff\xff")
    answer = braid.recommend(**who)
    assert (ids(answer)[0], answer["degraded"]["level"]) == ("e", 1)
    assert "unreadable" in answer["degraded"]["cause"]


def test_without_items_the_stored_vector_serves(braid: Running, rows: Rows) -> None:
    who = shopper(rows)
    # Along the axes of d and b: 0.8 and 0.6.
    vector = [0.0, 0.6, 0.0, 0.8] + [0.0] * 60
    rows.embedding(who["user_id"], micros_ago(hours=10), vector, "knn-1")
    answer = braid.recommend(**who, count=2)
    assert (ids(answer), answer["degraded"]["rung"]) == (["d", "b"], "user_embedding")
    rows.embedding(who["user_id"], micros_ago(hours=10), vector, "another-model")
    assert braid.recommend(**who)["degraded"]["rung"] == "popular"
    rows.embedding(who["user_id"], micros_ago(days=8), vector, "knn-1")
    assert braid.recommend(**who)["degraded"]["rung"] == "popular"


def test_an_unknown_visitor_gets_what_is_popular(braid: Running) -> None:
    answer = braid.recommend(visitor_id=unique("v"))
    assert ids(answer) == POPULAR
    assert answer["degraded"]["level"] == 5
    assert answer["features"]["session"] == {"found": False, "age_seconds": None, "version": None}


def test_the_request_s_country_serves_whom_nothing_is_known_of(braid: Running, rows: Rows) -> None:
    denied = unique("v")
    rows.consent(f"visitor:{denied}", "denied")
    answer = braid.recommend(visitor_id=denied, context={"country": "Italy"})
    assert ids(answer) == ["d", "a", "b", "c", "e"]  # "f" is out of stock
    cause = "no consent for personalization"
    assert answer["degraded"] == {"level": 4, "rung": "cohort", "cause": cause}
    told = [(result["source"], result["reasons"]) for result in answer["results"][:2]]
    assert told == [("cohort", ["popular in Italy"]), ("popular", ["popular"])]
    known = shopper(rows, user_at=micros_ago(hours=10))
    assert braid.recommend(**known, context={"country": "Italy"})["degraded"]["rung"] == "full"


def test_a_denial_hides_the_rows(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5), user_at=micros_ago(hours=10))
    # The device's denial is newer than the user's grant.
    rows.consent(f"visitor:{who['visitor_id']}", "denied", GRANT + 1)
    answer = braid.recommend(**who)
    assert ids(answer) == POPULAR
    assert answer["degraded"] == {"level": 5, "rung": "popular", "cause": "no consent for personalization"}
    nothing = {"found": False, "age_seconds": None, "version": None}
    assert answer["features"] == {**dict.fromkeys(("session", "shopper", "user"), nothing), "stage": None}


def test_the_page_that_is_open_serves_whom_nothing_is_known_of(braid: Running, rows: Rows) -> None:
    denied, unknown, known = unique("v"), unique("v"), shopper(rows, user_at=micros_ago(hours=10))
    rows.consent(f"visitor:{denied}", "denied")
    rows.consent(f"visitor:{unknown}", "granted")
    for visitor, cause in (
        (denied, "no consent for personalization"),
        (unknown, "nothing known of the shopper"),
    ):
        answer = braid.recommend("product", visitor_id=visitor, item_id="a", count=3)
        # The neighbours of "a" that are in stock, and the most popular of the rest.
        assert ids(answer) == ["c", "d", "b"]
        assert answer["degraded"] == {"level": 3, "rung": "contextual", "cause": cause}
        first, third = answer["results"][0], answer["results"][2]
        assert (first["source"], first["reasons"]) == ("contextual", ["similar to Title a"])
        assert third["source"] == "popular"
    # Of "e" the table says nothing; in this snapshot all vectors stand at right angles, so the order is the catalog's.
    assert ids(braid.recommend("product", visitor_id=denied, item_id="e", count=2)) == ["a", "b"]
    assert braid.recommend("product", **known, item_id="a")["degraded"]["rung"] == "full"


def test_what_a_shopper_muted_stays_out(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    mutes = {"shopper_muted_items": ["c"], "shopper_muted_categories": ["home > kitchen"]}
    rows.shopper(f"user:{who['user_id']}", micros_ago(days=3), GRANT, **mutes)
    rows.shopper(f"visitor:{who['visitor_id']}", micros_ago(days=3), GRANT, shopper_muted_items=["a"])
    answer = braid.recommend(**who)
    assert ids(answer) == ["d", "a", "e"]
    assert answer["features"]["shopper"] == {
        "found": True,
        "age_seconds": 3 * 86400.0,
        "version": [micros_ago(days=3), 2],
    }
    popular = braid.recommend(visitor_id=who["visitor_id"], user_id=who["user_id"])
    assert (ids(popular), popular["degraded"]["rung"]) == (["a", "d", "e"], "popular")
    # Muted under a choice that was taken back since: a new grant starts empty.
    rows.consent(f"visitor:{who['visitor_id']}", "granted", GRANT + 2, withdrawn_at=GRANT + 1)
    again = braid.recommend(**who)
    assert (ids(again), again["features"]["shopper"]["found"]) == (POPULAR, False)


def test_an_unreadable_shopper_row_is_said_and_costs_no_rung(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    key = redis_key(PROJECT, {"shopper_id": f"user:{who['user_id']}"})
    rows.shopper(f"user:{who['user_id']}", micros_ago(days=3), GRANT)
    rows.redis.hset(key, feature_field("shopper", "shopper_muted_items"), b"\xff\xff")
    degraded = braid.recommend(**who)["degraded"]
    assert degraded == {"level": 0, "rung": "full", "cause": "shopper row is unreadable"}


def test_a_tombstone_is_no_row(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    session = {"visitor_id": who["visitor_id"], "session_id": "s1"}
    for view, key in ((SESSION, session), (USER, {"user_id": who["user_id"]})):
        rows.redis.delete(redis_key(PROJECT, key))
        version = encode_version(tombstone_version(GRANT - 1))
        rows.redis.hset(redis_key(PROJECT, key), version_field(view.name), version)
    answer = braid.recommend(**who)
    nothing = {"found": False, "age_seconds": None, "version": None}
    assert answer["degraded"] == {"level": 5, "rung": "popular", "cause": "nothing known of the shopper"}
    assert answer["features"] == {**dict.fromkeys(("session", "shopper", "user"), nothing), "stage": None}


def test_a_new_grant_after_a_withdrawal_starts_empty(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    rows.consent(f"visitor:{who['visitor_id']}", "granted", GRANT + 2, withdrawn_at=GRANT)
    answer = braid.recommend(**who)
    assert (ids(answer), answer["features"]["session"]["found"]) == (POPULAR, False)
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=1), GRANT + 2, session_last_items=["a"])
    assert ids(braid.recommend(**who))[0] == "c"


def test_a_newer_choice_that_takes_nothing_away_keeps_what_is_known(braid: Running, rows: Rows) -> None:
    """The user granted again on another device: this one's session goes on."""
    who = shopper(rows, session_at=micros_ago(seconds=5))
    rows.consent(f"user:{who['user_id']}", "granted", GRANT + 7)
    assert ids(braid.recommend(**who))[0] == "c"


def test_a_users_withdrawal_elsewhere_ends_what_this_device_knew(braid: Running, rows: Rows) -> None:
    """Withdrawn and granted again on another device; the device's own choice is older than both."""
    who = shopper(rows, session_at=micros_ago(seconds=5), user_at=micros_ago(hours=10))
    rows.consent(f"visitor:{who['visitor_id']}", "granted")
    withdrawn = micros_ago(hours=9)
    rows.consent(f"user:{who['user_id']}", "granted", withdrawn + 5, withdrawn_at=withdrawn)
    features = braid.recommend(**who)["features"]
    assert (features["session"]["found"], features["user"]["found"]) == (False, False)
    rows.user(who["user_id"], withdrawn + 1, user_last_items=["b"])  # the next cut
    assert braid.recommend(**who)["features"]["user"]["found"]


def test_an_unreadable_choice_is_no_grant(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    rows.redis.set(redis_key(PROJECT, {"shopper_id": f"visitor:{who['visitor_id']}"}), b"not a hash")
    answer = braid.recommend(**who)
    assert (answer["degraded"]["rung"], answer["degraded"]["cause"]) == (
        "popular",
        "the consent row is unreadable",
    )


@pytest.mark.parametrize("state", ["", "granted", "99999999999999999|", "99999999999999999|00003", 7])
def test_a_choice_that_cannot_be_parsed_is_unreadable(braid: Running, rows: Rows, state: str | int) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    key = redis_key(PROJECT, {"shopper_id": f"visitor:{who['visitor_id']}"})
    dtype = FeatureType.INT64 if isinstance(state, int) else FeatureType.STRING
    rows.redis.hset(key, feature_field("consent", "consent_state"), encode_value(state, dtype))
    degraded = braid.recommend(**who)["degraded"]
    assert (degraded["rung"], degraded["cause"]) == ("popular", "the consent row is unreadable")


@pytest.mark.parametrize("view", ["session", "consent"])
def test_a_cut_version_is_unreadable(braid: Running, rows: Rows, view: str) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5), user_at=micros_ago(hours=10))
    session = {"visitor_id": who["visitor_id"], "session_id": "s1"}
    key = session if view == "session" else {"shopper_id": f"user:{who['user_id']}"}
    rows.redis.hset(redis_key(PROJECT, key), version_field(view), b"\0" * 15)
    assert f"{view} row is unreadable" in braid.recommend(**who)["degraded"]["cause"]


def test_a_grant_of_someone_long_gone_does_not_hold(braid: Running, rows: Rows) -> None:
    who = shopper(rows, session_at=micros_ago(seconds=5))
    rows.consent(f"user:{who['user_id']}", "granted", micros_ago(days=401))
    assert braid.recommend(**who)["degraded"]["rung"] == "popular"


def test_redis_down_is_popular_and_says_why(options: Options, braid: Running) -> None:
    with scorer(replace(options, redis_url="redis://127.0.0.1:1/0")) as alone:
        answers = [alone.recommend(visitor_id="v") for _ in range(6)]
        assert {tuple(ids(answer)) for answer in answers} == {tuple(POPULAR)}
        assert "Redis failed" in answers[0]["degraded"]["cause"]
        # Five failures in a row open the breaker.
        assert "left alone" in answers[5]["degraded"]["cause"]
        assert alone.metric("redis_errors_total", kind="error") == 5
        assert alone.request("GET", "/readyz").json()["missing"][0].startswith("redis: ")
