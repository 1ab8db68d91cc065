"""Faults: what an edit does to a day, which records the contract's mutations make, and when a fault counts as caught."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.adapters.wire import WireDay
from contracts.catalog import CATALOG_FIELDS, read_catalog
from contracts.door import Admitted, admit
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from infra.faults.__main__ import BY_HAND, broken_promises, report_of
from infra.faults.cost import cost_figures
from infra.faults.door import bad_records
from infra.faults.edits import plant
from infra.faults.fault import DEFAULT_DAY, Edit, Expected, Fault, FaultError, read_faults
from infra.faults.generated import day_faults
from infra.faults.judge import Passed, Seen, caught, only_the_door, original_id, through_the_door
from infra.faults.plan import Larger
from infra.faults.rehearsal import Answer
from infra.faults.trial import Result
from tests.flink_jobs.kit import START, items, wire

ON = date(2011, 9, 2)
UPDATE = {
    "item_id": "A",
    "title": "Mug",
    "price": "2.00",
    "currency": "GBP",
    "availability": "in_stock",
    "effective_time": "2011-09-02T08:00:00Z",
}


def shop() -> WireDay:
    """Ten carts and one order."""
    carts = [
        wire("add_to_cart", f"e{n}", "v", n, user_id="u", items=items("A", price="2.00")) for n in range(10)
    ]
    order = wire("purchase", "order", "v", 10, user_id="u", items=items("A", "B", price="2.00"))
    return WireDay([*carts, order], [UPDATE])


def fault(*edits: dict[str, Any], **expect: Any) -> Fault:
    expected = Expected(**({"outcome": "refused_day", "cause": "volume"} | expect))
    return Fault(name="f", what="", edit=[Edit(**edit) for edit in edits], expect=expected, day=ON)


def events(*edits: dict[str, Any]) -> list[dict[str, Any]]:
    return [one.record for one in plant(shop(), fault(*edits)).events if one.record is not None]


CARTS = {"event_name": "add_to_cart"}


def test_records_are_chosen_by_value_presence_bounds_share_and_number() -> None:
    def chosen(**edit: Any) -> list[str]:
        changed = events({"set": {"platform": "x"}, **edit})
        return [one["event_id"] for one in changed if one["platform"] == "x"]

    assert len(chosen()) == 11
    assert chosen(where=CARTS, first=2) == ["e0", "e1"]
    assert chosen(where=CARTS, share=0.3) == ["e3", "e6", "e9"]  # where 0.3, 0.6, 0.9 … pass 1, 2 and 3
    assert chosen(where={"items.1.item_id": {"present": True}}) == ["order"]
    assert chosen(
        where={"event_time": {"at_least": "2011-09-02T08:00:08Z", "at_most": "2011-09-02T08:00:09Z"}}
    ) == ["e8", "e9"]
    assert chosen(where={"items.*.item_id": {"in": ["B", "C"]}}) == ["order"]


def test_each_action_does_what_the_page_says() -> None:
    cart = {"where": CARTS, "first": 1}
    assert events({**cart, "set": {"consent.ads": "x-{n}"}})[0]["consent"]["ads"] == "x-1"
    assert "session_id" not in events({**cart, "drop": ["session_id"]})[0]
    renamed = events({**cart, "rename": {"visitor_id": "client"}})[0]
    assert (renamed["client"], "visitor_id" in renamed) == ("v", False)
    assert events({**cart, "multiply": {"items.*.price": 100, "items.*.quantity": 3}})[0]["items"][0] == {
        "item_id": "A", "price": "200.00", "currency": "GBP", "quantity": 3,
    }  # fmt: skip
    assert events({**cart, "multiply": {"items.0.price": 0.01}})[0]["items"][0]["price"] == "0.02"
    assert events({**cart, "shift": {"event_time": -3600}})[0]["event_time"] == "2011-09-02T07:00:00.000000Z"
    assert len(events({"where": CARTS, "remove": True})) == 1
    assert [one["event_id"] for one in events({**cart, "repeat": 2, "as_new": True})][:3] == [
        "e0",
        "e0-again-1",
        "e0-again-2",
    ]
    assert Counter(one["event_id"] for one in events({**cart, "repeat": 1}))["e0"] == 2
    bot = wire("page_view", "bot-{n}", "bot", 0)
    added = events({"append": [bot], "times": 3, "every_seconds": 60})[-3:]
    assert [(one["event_id"], one["event_time"][11:19]) for one in added] == [
        ("bot-1", "08:00:00"), ("bot-2", "08:01:00"), ("bot-3", "08:02:00"),
    ]  # fmt: skip
    assert plant(shop(), fault({"lines": ["{"]})).events[-1].raw == b"{"


def test_what_is_bad_is_marked_and_a_fault_that_changes_nothing_is_an_error() -> None:
    planted = plant(shop(), fault({"where": CARTS, "first": 1, "harmless": True, "set": {"platform": "app"}},
                                  {"first": 2, "set": {"session_id": "x"}}))  # fmt: skip
    assert [one.bad for one in planted.events][:3] == [True, True, False]
    with pytest.raises(FaultError, match="change nothing"):
        plant(shop(), fault({"set": {"platform": "web"}}))
    with pytest.raises(FaultError, match="ValueError"):
        plant(shop(), fault({"shift": {"platform": 1}}))


def test_a_file_that_is_not_in_the_form_is_named(tmp_path: Path) -> None:
    good = {
        "name": "a",
        "what": "",
        "edit": [{"remove": True}],
        "expect": {"outcome": "refused_day", "cause": "volume"},
    }
    for change, said in (
        ({"edit": [{"delete": True}]}, "unknown field `delete`"),
        ({"expect": {"outcome": "lost"}}, "unknown word"),
        ({"expect": {"outcome": "refused_day"}}, "names a cause"),
        ({"expect": {"outcome": "refused_record"}}, "names the field"),
        ({"name": "b"}, "its name is 'b'"),
        ({"edit": [{"in": "orders"}]}, "in events or in catalog"),
    ):
        (tmp_path / "a.json").write_text(json.dumps(good | change))
        with pytest.raises(FaultError, match=said):
            list(read_faults(tmp_path))
    (tmp_path / "a.json").write_text(json.dumps(good))
    assert [one.name for one in read_faults(tmp_path)] == ["a"]


def test_the_faults_by_hand_can_be_read() -> None:
    assert len(list(read_faults(BY_HAND))) >= 20


def test_every_field_is_broken_in_every_way_and_every_one_is_refused_for_its_field() -> None:
    bad = list(bad_records(shop().events[0], UPDATE))
    late = []
    for one in bad:
        if one.into == "events":
            decision = admit(msgspec.json.encode(one.record), "s", "0/0", START)
            if isinstance(decision, Admitted):
                late.append(one.name)
                continue
            fields = {violation.field.replace("[0]", "") for violation in decision.violations}
        else:
            fields = {violation.field for violation in read_catalog(one.record).violations}
        assert one.field in {name.split("[")[0] if one.field == "items" else name for name in fields}, (
            one.name
        )
    assert late == ["door/events/clock in 1970"]  # well-formed; bronze refuses it as too late
    for into, fields_of in (("events", EVENT_FIELDS), ("events", ITEM_FIELDS), ("catalog", CATALOG_FIELDS)):
        prefix = "items." if fields_of is ITEM_FIELDS else ""
        for field in fields_of:
            made = [one for one in bad if one.name.startswith(f"door/{into}/{prefix}{field.wire_name}/")]
            assert len(made) >= (3 if not field.required else 5), field.name


def test_day_faults_cover_what_the_day_can_lose() -> None:
    names = {one.name for one in day_faults(shop())}
    assert {
        "day/events/user_id/missing",
        "day/events/items.*.price/hundredfold",
        "day/events/items.*.quantity/hundredth",
        "day/catalog/price/hundredfold",
        "day/duplicate batch/new ids",
        "day/truncated/after noon",
        "day/mixed currency/events",
        "day/bot/one device",
    } <= names
    assert "day/events/search_term/missing" not in names  # no event of the day has one


ROW, OTHER = ("e0", "v"), ("bad", "v")
CLEAN = {"events": [ROW], "catalog": []}
SPOILT = {"events": [ROW, OTHER], "catalog": []}


def seen(
    code: int = 0,
    causes: tuple[str, ...] = (),
    after: Any = CLEAN,
    passed: Passed | None = None,
    rejected: Any = (),
) -> Seen:
    broken = [{"cause": cause, "rule": cause} for cause in causes]
    return Seen(passed or Passed(), Answer(code, broken, {}, None), rejected, CLEAN, CLEAN, after)


def test_a_day_is_refused_for_the_expected_cause_and_silver_is_as_it_was() -> None:
    expect = Expected("refused_day", cause=["amount", "currency"])
    assert caught(expect, seen(3, ("amount", "mix"))) == "refused_day"
    assert caught(expect, seen(3, ("mix",))) is None  # refused, but for another reason
    assert caught(expect, seen(0)) is None
    assert caught(expect, seen(3, ("amount",), SPOILT)) is None


def test_records_are_refused_for_their_field_and_none_is_left() -> None:
    expect = Expected("refused_record", field="event_time")
    both = Passed(refused=[["event_time", "platform"], ["event_time"]])
    assert caught(expect, seen(passed=both)) == "refused_record"
    assert caught(expect, seen(passed=Passed(refused=[["platform"]]))) is None
    assert caught(expect, seen(passed=Passed(refused=[["event_time"]], admitted=Counter(["bad"])))) is None
    assert caught(expect, seen(passed=both, after=SPOILT)) is None
    late = Expected("refused_record", field="too_late")
    original = json.dumps({"event_id": "bad"})
    admitted = Passed(admitted=Counter(["bad"]))
    assert caught(late, seen(passed=admitted, rejected=[("too_late", original)])) == "refused_record"
    assert caught(late, seen(passed=admitted)) is None
    assert original_id(base64.b64encode(original.encode()).decode()) == "bad"
    assert original_id("no json") is None


def test_what_is_kept_out_leaves_silver_as_the_clean_day_makes_it() -> None:
    expect = Expected(["kept_out", "refused_day"], cause="duplicates")
    assert caught(expect, seen()) == "kept_out"
    assert caught(expect, seen(after=SPOILT)) is None
    assert caught(expect, seen(3, ("duplicates",))) == "refused_day"


def test_the_door_alone_decides_where_all_that_is_left_is_the_clean_day() -> None:
    clean = through_the_door(plant(shop(), fault({"first": 1, "repeat": 1})), "s", ON).lines
    refused = through_the_door(plant(shop(), fault({"first": 3, "set": {"platform": 7}})), "s", ON)
    expect = Expected("refused_record", field="platform")
    assert refused.refused == [["platform"]] * 3
    assert only_the_door(expect, refused, clean)
    assert not only_the_door(Expected("refused_day", cause="rejects"), refused, clean)
    moved = through_the_door(
        plant(
            shop(), fault({"first": 1, "set": {"platform": 7}}, {"where": CARTS, "set": {"session_id": "x"}})
        ),
        "s",
        ON,
    )
    assert not only_the_door(expect, moved, clean)


def test_the_larger_shop_has_each_visit_by_another_shopper() -> None:
    class One:
        name, made_up = "one", {}

        def days(self) -> list[date]:
            return [ON]

        def read_day(self, on: date) -> WireDay:
            return shop()

    day = Larger(One(), 3).read_day(ON)
    assert len(day.events) == 33
    assert len({one["event_id"] for one in day.events}) == 33
    assert {one["visitor_id"] for one in day.events} == {"v~0", "v~1", "v~2"}
    assert day.catalog == [UPDATE]


def test_gates_cost_what_a_run_without_them_saves() -> None:
    runs = [({"silver": gated, "gold": 6.0}, {"silver": 3.0, "gold": 6.0}) for gated in (4.0, 4.0, 19.0)]
    gates = [{"gate": "ingest", "seconds": seconds} for seconds in (0.5, 0.7, 9.0)]
    figures = cost_figures(runs, {"materialize": 10.0}, gates, {"rounds": 3})
    assert figures["gate_cost_ratio"] == 0.05
    assert figures["gate_cost"] == {
        "rounds": 3,
        "seconds_of_each_round": [1.0, 1.0, 16.0],
        "batch_seconds": {"silver": 4.0, "gold": 6.0, "materialize": 10.0},
        "seconds_without_gates": {"silver": 3.0, "gold": 6.0},
        "share_of_gated_jobs": 0.1,
        "judging_seconds": {"ingest": 0.7},
    }


def test_the_report_counts_and_names_what_was_missed() -> None:
    expect = Expected("refused_day", cause="amount")
    results = [
        Result("generated", "a", "", expect, "refused_day", "the day refused for amount"),
        Result("by hand", "b", "", expect, None, "the day accepted"),
    ]
    clean = {"false_alarms": 0, "spark_jobs_per_table": {"bronze_events": 1}}
    report = report_of(results, clean, {"gate_cost_ratio": 0.2})
    assert (report["injected"], report["caught"], report["caught_share"]) == (2, 1, 0.5)
    assert report["by_kind"] == {
        "by hand": {"injected": 1, "caught": 0},
        "generated": {"injected": 1, "caught": 1},
    }
    assert [miss["name"] for miss in report["misses"]] == ["b"]
    assert broken_promises(report) == ["at least 60 faults", "at least 95% caught", "gates cost at most 15%"]
    assert DEFAULT_DAY.weekday() == 1
