"""`:rank`, `:explain` and the policy over HTTP: what is asked, what is kept back, and what a changed file does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.clock import to_micros
from contracts.errors import PolicyError
from contracts.policy import read_policy
from contracts.settings import ROOT
from models.decide.artifacts import open_served
from scorer.openapi import EXAMPLES
from scorer.service import Options
from spark_jobs.list_rows import rows_of
from spark_jobs.shoppers import COLUMNS
from tests.scorer.kit import (
    GRANTED_AT,
    NOW,
    Rows,
    Running,
    micros_ago,
    publish,
    read_topic,
    scorer,
    snapshot,
    unique,
)

GRANT = to_micros(GRANTED_AT)


@pytest.fixture()
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text("")
    return path


@pytest.fixture()
def ruled(options: Options, policy: Path, tmp_path: Path) -> Iterator[Running]:
    """A scorer of its own policy over the six items of `kit.snapshot`, popularity a … e (f is out of stock)."""
    publish(tmp_path, snapshot("popularity"))
    with scorer(replace(options, serving=tmp_path, policy=policy)) as started:
        yield started


def ids(answer: dict) -> str:
    return "".join(result["item_id"] for result in answer["results"])


def change(ruled: Running, policy: Path, text: str) -> None:
    fresh = policy.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(policy)
    # What changed since the last look may not be whole yet.
    for _ in range(2):
        ruled.wait(ruled.service.follower.look())


def test_a_changed_policy_holds_at_once_and_one_that_cannot_be_is_refused(
    ruled: Running, policy: Path
) -> None:
    who = {"visitor_id": unique("v")}
    assert ids(ruled.recommend(**who)) == "abcde"
    change(ruled, policy, "[[rules]]\nname='no a'\nkind='block'\nitems={ids=['a']}\n")
    assert ids(ruled.recommend(**who)) == "bcde"
    assert ruled.metric("policy_rules_idle") == 0
    change(ruled, policy, "[[rules]]\nname='no b'\nkind='blok'\nitems={ids=['b']}\n")
    assert ids(ruled.recommend(**who)) == "bcde"
    assert ruled.metric("policies_refused_total") == 1
    change(ruled, policy, "[[rules]]\nname='no a'\nkind='block'\nitems={brands=['acmee']}\n")
    assert ruled.metric("policy_rules_idle") == 1
    change(ruled, policy, "[placements.home]\ndefault_count = 2\nmax_count = 3\n")
    assert ids(ruled.recommend(**who)) == "ab"
    refused = ruled.request("POST", "/v1/placements/home:recommend", json={**who, "count": 4})
    assert (refused.status_code, refused.json()["detail"]) == (
        422,
        "count is 4; placement 'home' shows at most 3",
    )


def test_a_scorer_does_not_start_with_a_policy_that_cannot_be(options: Options, policy: Path) -> None:
    policy.write_text("rules = 3\n")
    with (
        pytest.raises(PolicyError, match=r"Expected `array`, got `int` - at `\$.rules`"),
        scorer(replace(options, policy=policy)),
    ):
        pass


def test_what_was_bought_and_seen_is_read_of_the_stores_rows(
    ruled: Running, policy: Path, rows: Rows
) -> None:
    change(ruled, policy, "[placements.home]\nbought_days = 7\nseen = { times = 2, days = 1 }\n")
    who = {"visitor_id": unique("v"), "user_id": unique("u")}
    rows.consent(f"user:{who['user_id']}", "granted")
    rows.user(
        who["user_id"],
        micros_ago(hours=12),
        user_last_orders_90d=[f"{micros_ago(days=6)}\na", f"{micros_ago(days=8)}\nb"],
    )
    seen = [f"{micros_ago(minutes=m)}\nc\nd" for m in (1, 2)] + [f"{micros_ago(hours=30)}\ne"]
    rows.shopper(
        f"user:{who['user_id']}",
        micros_ago(minutes=1),
        GRANT,
        shopper_last_lists=seen,
        shopper_last_orders=None,
    )
    assert ids(ruled.recommend(**who)) == "be"
    assert ids(ruled.recommend(visitor_id=who["visitor_id"])) == "abcde"


def test_rank_orders_the_items_that_it_is_given(options: Options, braid: Running, rows: Rows) -> None:
    who = {"visitor_id": unique("v"), "session_id": "s1"}
    rows.consent(f"visitor:{who['visitor_id']}", "granted")
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=5), GRANT, session_last_items=["a"])
    answer = braid.request(
        "POST", "/v1/placements/search:rank", json={**who, "items": ["b", "d", "f", "gone", "c", "c"]}
    )
    assert answer.status_code == 200, answer.text
    ranked = answer.json()
    # a speaks for c (.9) and d (.5); b fills; f is out of stock.
    assert (ids(ranked), ranked["left_out"]) == ("cdb", ["f", "gone"])
    assert ranked["degraded"]["rung"] == "full"
    [(_, decision)] = read_topic(
        options.kafka_bootstrap,
        "decisions",
        lambda key, _: key == ranked["decision_id"],
    )
    assert [result["item_id"] for result in decision["results"]] == ["c", "d", "b"]
    for wrong in ({**who, "items": []}, who, {**who, "items": ["a"] * 1001}):
        assert braid.request("POST", "/v1/placements/search:rank", json=wrong).status_code == 422


def test_explain_says_what_recommend_answers_and_why(ruled: Running, policy: Path, rows: Rows) -> None:
    change(
        ruled,
        policy,
        "[[rules]]\nname='c first'\nkind='pin'\nposition=1\nitems={ids=['c']}\n"
        "[[rules]]\nname='no d'\nkind='block'\nitems={ids=['d']}\n",
    )
    who = {"visitor_id": unique("v"), "session_id": "s1", "exclude_items": ["b", "d"]}
    rows.consent(f"visitor:{who['visitor_id']}", "granted")
    rows.session(
        who["visitor_id"],
        "s1",
        micros_ago(seconds=5),
        GRANT,
        session_last_items=["a"],
        session_last_event_at=micros_ago(seconds=5),
    )
    told = ruled.request("POST", "/v1/placements/home:explain", json=who).json()
    assert ids(told) == ids(ruled.recommend(**who)) == "cae"
    assert [result["rules"] for result in told["results"]] == [["pin: c first"], [], []]
    assert (told["results"][1]["parts"], told["results"][1]["features"]) == ({"popular": 1.0}, {})
    # f is out of stock; d is excluded by the request first.
    assert told["withheld"] == {"out of stock": 1, "excluded by the request": 2}
    assert [row["view"] for row in told["rows"]] == ["session", "shopper"]
    assert told["rows"][0]["features"]["session_last_items"] == ["a"]
    assert told["derived"]["session_recency_seconds"] == 5.0


def test_the_examples_of_the_page_are_answered(braid: Running) -> None:
    for verb in ("recommend", "rank", "explain"):
        for name, example in EXAMPLES[verb].items():
            answer = braid.request("POST", f"/v1/placements/search:{verb}", json=example)
            assert answer.status_code == 200, (name, answer.text)
    for example in EXAMPLES["events"].values():
        answer = braid.request("POST", "/v1/events", json=example)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text


def test_the_web_and_the_exported_list_are_the_same_for_the_same_row(
    options: Options, tmp_path: Path, rows: Rows
) -> None:
    path = ROOT / "contracts" / "policy.toml"
    version = publish(tmp_path, snapshot())
    user = unique("u")
    stored = {"user_last_items": ["a", "b"], "user_last_orders_90d": [f"{micros_ago(days=2)}\nd"]}
    rows.consent(f"user:{user}", "granted")
    rows.user(user, micros_ago(hours=12), **stored)
    said = {"shopper_muted_items": ["e"], "shopper_less_items": None, "shopper_last_orders": None}
    rows.shopper(f"user:{user}", micros_ago(hours=13), GRANT, **said)
    with scorer(replace(options, serving=tmp_path, policy=path)) as started:
        web = started.recommend("email", visitor_id=unique("v"), user_id=user)
    row = {**dict.fromkeys(COLUMNS), **stored, **said, "user_id": user, "vector": None, "vector_model": None}
    exported = rows_of(open_served(tmp_path / version, read_policy(path)), row, NOW)
    assert [made[2] for made in exported] == [result["item_id"] for result in web["results"]]
    assert [made[3] for made in exported] == [result["score"] for result in web["results"]]
    assert [made[2] for made in exported] == ["c", "a", "b"]  # d was bought two days ago, e muted
