"""What `make parity` counts and promises: differences, choices about consent as they are known, rows that must not be."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from contracts.clock import to_micros
from contracts.events import read_event
from contracts.features import ITEM, SHOPPER
from contracts.settings import Settings
from contracts.tables import table_named
from infra.parity.__main__ import HELD, broken
from infra.parity.compare import Compared
from infra.parity.consent_day import GRANT, ON, WITHDRAW, catalog, change, history, night, shoppers, turns
from infra.parity.consent_tables import TableRows, check_tables

MORNING = datetime(2011, 11, 8, 9, tzinfo=UTC)


def shopper_row(**changes: Any) -> dict[str, Any]:
    empty = dict.fromkeys(name for name, _ in SHOPPER.stored_columns)
    return empty | {"events_seen": 1, "shopper_muted_items": ["a"]} | changes


def test_a_value_that_differs_or_is_missing_is_counted_once() -> None:
    compared = Compared()
    engines = {
        "reference": {("u",): shopper_row(), ("v",): shopper_row()},
        "spark": {("u",): shopper_row(), ("v",): shopper_row()},
        "flink": {("u",): shopper_row(shopper_muted_items=["b"])},
    }
    compared.add(SHOPPER, engines)
    columns = len(SHOPPER.stored_columns)
    # One list of u differs, and v lacks every column in Flink.
    assert (compared.keys, compared.values, compared.differences) == (2, 2 * columns, 1 + columns)
    assert compared.per_feature == Counter(events_seen=1)
    assert compared.per_feature.keys() >= {"session_carts", "item_covisited_7d", "user_last_items"}
    assert len(compared.examples) == 5


def test_what_flink_does_not_compute_is_compared_between_the_others() -> None:
    compared = Compared()
    row = {feature.name: feature.default for feature in ITEM.features}
    without = {name: value for name, value in row.items() if "price" not in name and "covisited" not in name}
    compared.add(ITEM, {"reference": {("i",): row}, "spark": {("i",): row}, "flink": {("i",): without}})
    assert compared.differences == 0


def test_a_choice_holds_from_its_receipt_to_the_next() -> None:
    crowd = shoppers(2)
    change(crowd[0], MORNING)
    change(crowd[0], MORNING + timedelta(hours=1))
    at = to_micros(MORNING)
    assert [crowd[0].choice(at + n) for n in (0, 1, 3_600_000_000, 3_600_000_001)] == [
        GRANT,
        WITHDRAW,
        WITHDRAW,
        GRANT,
    ]
    assert crowd[1].choice(at + 1) == GRANT


def test_the_day_is_made_of_valid_events_under_the_choice_that_holds() -> None:
    crowd = shoppers(6)
    records = [*history(crowd, ON)]
    for shopper, name in turns(crowd):
        if name == "consent_update":
            change(shopper, MORNING)
        records.append(shopper.event(name, MORNING, "s", Random("x")))
    records += night(crowd, MORNING + timedelta(hours=12), 0)
    flat = [read_event(record).event for record in records]
    assert None not in flat
    assert sum(record["event_name"] == "consent_update" for record in records) == 4 * 6 + 1
    denied = {event["event_id"] for event in flat if event and event["consent_personalization"] == "denied"}
    assert denied == {event for shopper in crowd for event in shopper.unconsented}
    assert len(catalog()) == 200


def test_a_row_of_who_withdrew_or_of_an_event_under_a_denial_is_a_violation(tmp_path: Path) -> None:
    settings = replace(Settings(), var=tmp_path)
    crowd = shoppers(3)
    change(crowd[1], MORNING)
    crowd[1].event("page_view", MORNING, "s", Random("x"))
    change(crowd[2], MORNING)
    crowd[2].event("page_view", MORNING, "s", Random("x"))
    change(crowd[2], MORNING + timedelta(hours=1))
    columns = {
        # A good row, one of who withdrew, one of an event under a denial that ended, one of another cut.
        "event_id": ["cv0-1", "other", "cv2-1", "cv1-1"],
        "visitor_id": ["cv0", "cv1", "cv2", "cv1"],
        "cut_on": [ON, ON, ON, ON - timedelta(days=1)],
    }
    write_deltalake(str(table_named("gold_label_rows").path(settings)), pa.table(columns))
    found = check_tables(settings, crowd, MORNING + timedelta(hours=2), ["gold_label_rows"])
    assert found == {"gold_label_rows": TableRows(rows=3, violations=2)}
    # Before the first choice was known only the event under a denial is wrong.
    early = check_tables(settings, crowd, MORNING, ["gold_label_rows"])
    assert early == {"gold_label_rows": TableRows(rows=3, violations=1)}


GOOD: dict[str, Any] = {
    "differences": 0,
    "values": 1_000_000,
    "per_feature": {"session_carts": 1_000},
    "decision_differences": 0,
    "decision_rows": {"session": 100, "shopper": 100, "user": 100, "derived": 100},
    "consent": {
        "changes": 10_000,
        "violations": 0,
        "unread": 0,
        "withdrawals_asked": 1,
        "readable_ms": {"count": 10_000, "p99": 400.0},
        "tables": {name: {"rows": 1, "violations": 0} for name in HELD},
        "tables_as_of_later": {},
    },
}


def test_a_choice_that_stays_unread_and_a_day_of_few_choices_break_it() -> None:
    consent = GOOD["consent"] | {"unread": 1, "readable_ms": {"count": 9_999, "p99": 400.0}}
    assert len(broken(GOOD | {"consent": consent})) == 1
    few = GOOD["consent"] | {"changes": 400, "readable_ms": {"count": 400, "p99": 400.0}}
    assert len(broken(GOOD | {"consent": few})) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("differences",), 1),
        (("values",), 999_999),
        (("per_feature", "session_carts"), 999),
        (("decision_differences",), 1),
        (("decision_rows", "shopper"), 99),
        (("consent", "violations"), 1),
        (("consent", "withdrawals_asked"), 0),
        (("consent", "tables", "gold_recommendations", "rows"), 0),
        (("consent", "readable_ms", "count"), 9_999),
        (("consent", "readable_ms", "p99"), 1_001.0),
    ],
)
def test_each_promise_can_be_broken(path: tuple[str, ...], value: object) -> None:
    assert broken(GOOD) == []
    figures = copy.deepcopy(GOOD)
    node = figures
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    assert len(broken(figures)) == 1
