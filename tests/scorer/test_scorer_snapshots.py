"""Following what is published: a good snapshot takes over, a bad one is refused and the last good one stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.features import FeatureType
from contracts.online import encode_value, feature_field, redis_key
from models.decide.artifacts import open_snapshot, set_current, write_snapshot
from models.decide.blend import Blend
from models.decide.facts import FACTS, OF_SESSION
from models.decide.manifest import MANIFEST, read_manifest, sealed
from models.decide.query import SLOTS
from models.decide.snapshot import SnapshotError
from models.decide.words import WORD_BUCKETS, word_buckets
from scorer.service import Options
from tests.scorer.kit import NOW, PROJECT, Rows, Running, micros_ago, publish, scorer, snapshot, unique, until


@pytest.fixture()
def serving(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture()
def following(options: Options, serving: Path) -> Iterator[Running]:
    publish(serving, snapshot())
    with scorer(replace(options, serving=serving)) as started:
        until(lambda: started.request("GET", "/readyz").status_code == 200)
        yield started


def look(following: Running) -> str:
    following.wait(following.service.follower.look())
    return str(following.recommend(visitor_id=unique("v"))["snapshot_version"])


def test_a_new_snapshot_takes_over(following: Running, serving: Path) -> None:
    version = publish(serving, snapshot(model_version="knn-2"))
    assert look(following) == version
    assert following.recommend(visitor_id=unique("v"))["model_version"] == "knn-2"


@pytest.mark.parametrize("damage", ["vectors.npy", "items.json", "scores.npy", "near.faiss", "manifest.json"])
def test_a_damaged_snapshot_is_refused(following: Running, serving: Path, damage: str) -> None:
    good = look(following)
    version = write_snapshot(serving, snapshot(model_version="knn-2"), None, NOW)
    file = serving / version / damage
    file.write_bytes(file.read_bytes()[:-3])
    point_at(serving, version)
    assert look(following) == good
    assert following.metric("snapshots_refused_total") == 1
    assert following.request("GET", "/readyz").status_code == 200
    # The next good one is taken.
    assert look_after(following, serving) != good


def test_what_came_after_its_pointer_is_taken_when_it_is_tried_again(
    following: Running, serving: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = look(following)
    version = write_snapshot(serving, snapshot(model_version="knn-2"), None, NOW)
    (serving / version).rename(serving / "on its way")
    point_at(serving, version)
    assert look(following) == good
    (serving / "on its way").rename(serving / version)
    assert look(following) == good
    monkeypatch.setattr(following.service.follower, "_again_at", 0.0)
    assert look(following) == version
    assert following.metric("snapshots_refused_total") == 1


def test_a_worker_that_starts_on_a_damaged_snapshot_serves_the_one_before(
    options: Options, serving: Path
) -> None:
    good = publish(serving, snapshot(model_version="knn-1"))
    for model in ("knn-2", "knn-3"):
        version = publish(serving, snapshot(model_version=model))
        (serving / version / "scores.npy").write_bytes(b"damaged")
    with scorer(replace(options, serving=serving)) as started:
        assert look(started) == good
        # It is ready once it has read the catalog, too.
        until(lambda: started.request("GET", "/readyz").status_code == 200)
        assert started.metric("snapshots_refused_total") == 1
        assert look_after(started, serving) != good


def look_after(following: Running, serving: Path) -> str:
    version = publish(serving, snapshot(model_version="knn-4"))
    assert look(following) == version
    return version


def test_arrays_that_do_not_belong_together_are_refused(following: Running, serving: Path) -> None:
    good = look(following)
    whole = snapshot(model_version="knn-2")
    beyond = whole.neighbours.copy()
    beyond[0, 0] = len(whole.ids)
    for wrong in (replace(whole, titles=("one", "two")), replace(whole, neighbours=beyond)):
        set_current(serving, write_snapshot(serving, wrong, None, NOW))
        assert look(following) == good


@pytest.mark.parametrize("pointer", ["", "[]", '{"version": 3}', '{"version": "../nowhere"}'])
def test_a_broken_pointer_is_refused(following: Running, serving: Path, pointer: str) -> None:
    good = look(following)
    (serving / "current.json").write_text(pointer)
    assert look(following) == good
    assert following.metric("snapshots_refused_total") == 1


def test_the_query_tower_runs_in_litert(options: Options, serving: Path, rows: Rows) -> None:
    alone = Blend(popular=0, fading=0, again=0, yielding=0, together=0)
    publish(serving, replace(snapshot("two_tower", "tower-1"), blend=alone), mean_tower())
    who = {"visitor_id": unique("v"), "session_id": "s1"}
    granted_at = micros_ago(days=1)
    rows.consent(f"visitor:{who['visitor_id']}", "granted", granted_at)
    rows.session(
        who["visitor_id"], "s1", micros_ago(seconds=5), granted_at, session_last_items=["d", "c", "d"]
    )
    with scorer(replace(options, serving=serving)) as started:
        answer = started.recommend(**who, count=2)
        # A ranker that fails costs its order, no more.
        follower = started.service.follower
        follower.serving = replace(follower.serving, rank=broken_rank)
        unranked = started.recommend(**who, count=2)
    assert unranked["results"] == answer["results"]
    assert unranked["degraded"] == {"level": 0, "rung": "full", "cause": "the ranker failed (RuntimeError)"}
    # The query points along (c, d) = (1, 2) / √5, every item along an axis of its own.
    assert [(r["item_id"], round(r["score"], 3)) for r in answer["results"]] == [("d", 0.894), ("c", 0.447)]
    assert (answer["results"][0]["source"], answer["degraded"]["level"]) == ("two_tower", 0)


def broken_rank(*asked: object) -> np.ndarray:
    raise RuntimeError("no trees")


def test_words_are_answered_with_and_without_consent(options: Options, serving: Path, rows: Rows) -> None:
    alone = Blend(popular=0, fading=0, again=0, yielding=0, together=0)
    words = np.zeros((WORD_BUCKETS, 64), np.float32)
    words[word_buckets("tea")[0], 4] = words[word_buckets("cups")[0], 3] = 1  # along the axes of e and d
    published = replace(snapshot("two_tower", "tower-1"), blend=alone, word_vectors=words)
    publish(serving, published, mean_tower())
    who = {"visitor_id": unique("v"), "session_id": "s1"}
    granted_at = micros_ago(days=1)
    rows.consent(f"visitor:{who['visitor_id']}", "granted", granted_at)
    rows.session(who["visitor_id"], "s1", micros_ago(seconds=5), granted_at, session_last_searches=["Tea!"])
    with scorer(replace(options, serving=serving)) as started:
        told = {
            "last search": started.recommend(**who, count=1),
            "this search": started.recommend(**who, search_term="cups", count=1),
            "unknown": started.recommend(visitor_id=unique("v"), interests=["home > cups"], count=1),
        }
        assert (
            started.request(
                "POST", "/v1/placements/home:recommend", json={"visitor_id": "v", "search_term": ""}
            ).status_code
            == 422
        )
    found = {
        name: (one["results"][0]["item_id"], one["results"][0]["reasons"], one["degraded"]["rung"])
        for name, one in told.items()
    }
    assert found == {
        "last search": ("e", ["close to what you searched for"], "full"),
        "this search": ("d", ["close to what you searched for"], "full"),
        "unknown": ("d", ["close to your interests"], "contextual"),
    }


def test_facts_reach_the_tower_of_rows_that_are_there_alone(
    options: Options, serving: Path, rows: Rows
) -> None:
    alone = Blend(popular=0, fading=0, again=0, yielding=0, together=0)
    publish(serving, replace(snapshot("two_tower", "tower-1"), blend=alone), session_tower())
    who = {"visitor_id": unique("v"), "session_id": "s1", "user_id": unique("u")}
    granted_at = micros_ago(days=1)
    rows.consent(f"user:{who['user_id']}", "granted", granted_at)
    rows.user(who["user_id"], micros_ago(hours=5), user_last_items=["a"])
    with scorer(replace(options, serving=serving)) as started:
        without_row = started.recommend(**who, count=1)
        rows.session(who["visitor_id"], "s1", micros_ago(seconds=5), granted_at, session_last_items=["a"])
        with_row = started.recommend(**who, count=1)
        key = redis_key(PROJECT, {"visitor_id": who["visitor_id"], "session_id": "s1"})
        text = encode_value("many", FeatureType.STRING)
        rows.redis.hset(key, feature_field("session", "session_carts"), text)
        wrong_form = started.recommend(**who, count=1)
    assert [one["results"][0]["item_id"] for one in (without_row, with_row)] == ["b", "c"]
    assert wrong_form["degraded"]["rung"] == "popular"
    assert "ValueError" in wrong_form["degraded"]["cause"]


def test_a_snapshot_of_another_layout_is_refused_and_named(serving: Path) -> None:
    version = publish(serving, snapshot())
    folder = serving / version
    (folder / MANIFEST).write_bytes(sealed({**read_manifest(folder), "layout": "0" * 12}))
    with pytest.raises(SnapshotError, match="--start full"):
        open_snapshot(serving / version)


def test_a_tower_that_is_none_is_refused(options: Options, serving: Path) -> None:
    publish(serving, snapshot("two_tower", "tower-1"), b"not a model")
    with scorer(replace(options, serving=serving)) as started:
        assert "refused" in started.request("GET", "/readyz").json()["missing"][0]


def point_at(serving: Path, version: str) -> None:
    """What a publisher that does not check would do."""
    fresh = serving / "current.new"
    fresh.write_text(json.dumps({"version": version}))
    fresh.replace(serving / "current.json")


def mean_tower() -> bytes:
    """A query tower that answers the unit vector of the sum of the slots and the text."""
    import tensorflow as tf

    def query(item_vectors: Any, slot_kind: Any, text: Any, facts: Any) -> Any:
        filled = tf.cast(slot_kind > 0, tf.float32)[:, :, None]
        return tf.reduce_sum(item_vectors * filled, axis=1) + text + 0 * tf.reduce_sum(facts)

    return tower_of(query)


def session_tower() -> bytes:
    """A query tower that points at "c" where a session is known, else at "b"."""
    import tensorflow as tf

    def query(item_vectors: Any, slot_kind: Any, text: Any, facts: Any) -> Any:
        known = facts[:, OF_SESSION.start, None]
        unused = (
            tf.reduce_sum(item_vectors) + tf.reduce_sum(text) + tf.cast(tf.reduce_sum(slot_kind), tf.float32)
        )
        return known * tf.one_hot([2], 64) + (1 - known) * tf.one_hot([1], 64) + 0 * unused

    return tower_of(query)


def tower_of(query: Callable[..., Any]) -> bytes:
    """A LiteRT file of the function, made a unit vector."""
    import tensorflow as tf

    @tf.function(
        input_signature=[
            tf.TensorSpec((1, SLOTS, 64), tf.float32, "item_vectors"),
            tf.TensorSpec((1, SLOTS), tf.int32, "slot_kind"),
            tf.TensorSpec((1, 64), tf.float32, "text"),
            tf.TensorSpec((1, FACTS), tf.float32, "facts"),
        ]
    )
    def tower(item_vectors: Any, slot_kind: Any, text: Any, facts: Any) -> dict[str, Any]:
        return {"query": tf.math.l2_normalize(query(item_vectors, slot_kind, text, facts), axis=1)}

    converter = tf.lite.TFLiteConverter.from_concrete_functions([tower.get_concrete_function()])
    model: bytes = converter.convert()
    return model
