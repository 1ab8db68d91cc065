"""The catalog's changes over the served snapshot: by hand, and from a real topic into the snapshot that serves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Producer

from contracts.clock import to_micros
from contracts.settings import TOPICS, Settings
from infra.stack import LocalStack
from models.__main__ import main
from models.catalog import Catalog
from models.changes import changed, newest
from models.decide.artifacts import current_version, open_snapshot, replace_current
from models.decide.ranker import NUMBERS
from models.errors import ModelsError
from models.refresh import refresh, refuse_jumps, since
from tests.models.conftest import CUT, item, write_lake


def update(item_id: str, at: int, **more: Any) -> dict[str, Any]:
    about = {"title": f"title of {item_id}", "category": None, "price_minor": 199, "currency": "GBP"}
    return {"item_id": item_id, **about, "availability": "in_stock", "effective_time": at, **more}


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(
        ids=("a", "c"),
        titles=("A", "C"),
        categories=(None, "mugs"),
        brands=("Brand", None),
        price_minor=(100, 200),
        currency=("GBP", "GBP"),
        in_stock=np.array([True, False]),
        offered_at=np.array([10, 20]),
        campaigns=(None, "autumn"),
        ships_in_days=np.array([-1, 2], np.int32),
        carts_30d=np.array([5, 6]),
        numbers=np.zeros((2, len(NUMBERS)), np.float32),
    )


def test_the_newest_state_that_holds_by_now_counts_and_of_equals_the_last_sent():
    sent = [
        update("a", 10),
        update("a", 30),
        update("a", 10, title="late"),
        update("b", 20),
        update("b", 20, title="again"),
    ]
    found = newest(sent, now_micros=25)
    assert {name: one["title"] for name, one in found.items()} == {"a": "late", "b": "again"}
    assert newest(sent, now_micros=30)["a"]["effective_time"] == 30


def test_a_new_item_stands_among_the_others_and_what_was_counted_stays(catalog):
    found = changed(catalog, {"b": update("b", 1), "c": update("c", 1, title="New C", price_minor=250)})
    assert (found.ids, found.titles) == (("a", "b", "c"), ("A", "title of b", "New C"))
    assert (found.price_minor, found.categories) == ((100, 199, 250), (None, None, None))
    assert (found.in_stock.tolist(), found.carts_30d.tolist()) == ([True, True, True], [5, 0, 6])
    assert found.offered_at.tolist() == [10, 1, 1]


def test_a_fifth_of_the_prices_beyond_the_gates_factor_is_refused(catalog):
    many = replace(catalog, ids=tuple(f"i{n}" for n in range(20)), price_minor=(100,) * 20)

    def updates(jumped: int) -> dict[str, Any]:
        return {
            item: update(item, 1, price_minor=600 if n < jumped else 500) for n, item in enumerate(many.ids)
        }

    refuse_jumps(many, updates(4))
    with pytest.raises(ModelsError, match=r"5 of 20 updated prices .*'i0'"):
        refuse_jumps(many, updates(5))
    # Of three, one may be a sale; what is new has no price to move from.
    refuse_jumps(catalog, {"c": update("c", 1, price_minor=1), "new": update("new", 1, price_minor=10**6)})


def test_what_the_cut_has_judged_is_left_to_it(catalog):
    end = datetime(2011, 4, 1, tzinfo=UTC)
    sent = {item: update(item, to_micros(end) + late) for item, late in (("a", -1), ("b", -1), ("c", 0))}
    assert since(catalog, end, sent).keys() == {"b", "c"}


def test_a_new_item_is_served_and_nothing_changes_twice(
    settings: Settings, stack: LocalStack, tmp_path, monkeypatch: pytest.MonkeyPatch
):
    stack.up(["kafka"])
    own = replace(settings, var=tmp_path)
    write_lake(own, CUT, 30, 10)
    monkeypatch.setenv("BRAID_VAR", str(tmp_path))
    for command in ("train", "embed", "publish"):
        assert main([command, "--cut", str(CUT)]) == 0
    before = current_version(own.serving)
    listed = in_france(own, before)
    now = to_micros(own.clock().now())
    send(
        settings,
        update("zz-new", now - 1, title="chain5 piece3"),
        update("zz-tomorrow", now + 86_400_000_000),
    )
    version = refresh(own)
    assert version is not None
    assert version == current_version(own.serving) != before
    served = open_snapshot(own.serving / version)
    assert served.cut_on == str(CUT)
    assert "zz-new" in served.index
    assert "zz-tomorrow" not in served.index
    assert in_france(own, version) == listed
    if served.kind == "two_tower":
        nearest = np.argsort(-(served.vectors @ served.vectors[served.index["zz-new"]]))[1:11]
        assert item(5, 3) in [served.ids[row] for row in nearest]
    assert refresh(own) is None
    # Who was overtaken by another publish changes nothing.
    assert not replace_current(own.serving, str(before), str(before))
    assert current_version(own.serving) == version


def in_france(settings: Settings, version: str | None) -> list[str]:
    served = open_snapshot(settings.serving / str(version))
    listed = served.cohorts.named("France")
    assert listed is not None
    return [served.ids[row] for row in listed.items]


def send(settings: Settings, *updates: dict[str, Any]) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap})
    for one in updates:
        producer.produce(TOPICS.catalog, msgspec.json.encode(one), one["item_id"])
    assert producer.flush(30) == 0
