"""The generated JSON Schemas: current, and agreeing with the validator on what is valid."""

from __future__ import annotations

import re
from types import SimpleNamespace

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import read_catalog
from contracts.columns import JSON_TYPES
from contracts.decisions import Context, Decision, Degraded, Result, derived_of
from contracts.events import read_event
from contracts.fields import Field, Kind, Violation, read_field
from contracts.generate import schemas, stale

EVENT, CATALOG, DECISION = (
    jsonschema.Draft202012Validator(schemas()[f"{name}.schema.json"])
    for name in ("event", "catalog", "decision")
)


def test_the_files_are_current() -> None:
    assert stale() == []


def test_valid_records_are_valid_in_both(wire: SimpleNamespace) -> None:
    for event in (wire.event(), wire.event(user_id=None, context=None) | {"context": {}}):
        EVENT.validate(event)
        assert read_event(event).event is not None
    CATALOG.validate(wire.update())
    assert read_catalog(wire.update(brand=None)).event is not None
    CATALOG.validate(wire.update(brand=None))


@pytest.mark.parametrize(
    "changes",
    [
        {"event_name": "add_to_basket"},
        {"visitor_id": ""},
        {"visitor_id": None},
        {"items": [{"item_id": "a", "price": 2.55}]},
        {"items": [{"item_id": "a", "price": "2.555"}]},
        {"items": [{"quantity": 1}]},
        {"engagement_ms": "7"},
        {"consent": {}},
    ],
)
def test_what_a_schema_refuses_the_validator_refuses(
    wire: SimpleNamespace, changes: dict[str, object]
) -> None:
    event = wire.event(**changes)
    assert not EVENT.is_valid(event)
    assert read_event(event).event is None


@pytest.mark.parametrize("price", ["0", "2.5", "2.50", "1.500", "1.00000000", "0000"])
def test_a_price_that_the_validator_takes_fits_the_schema(wire: SimpleNamespace, price: str) -> None:
    event = wire.event(items=[{"item_id": "a", "price": price}])
    EVENT.validate(event)
    assert read_event(event).event is not None


MONEY = Field("price_minor", Kind.MONEY, "", ("price",))


@given(
    st.from_regex(r"-?[0-9]{0,15}(\.[0-9]{0,9})?", fullmatch=True)
    | st.text("0123456789.-+e_ \u0661", max_size=6)
)
def test_schema_and_validator_agree_on_money(text: str) -> None:
    found: list[Violation] = []
    read_field(MONEY, {"price": text}, found)
    # That an amount is not too large is a rule of its own.
    broken = [violation for violation in found if not violation.rule.startswith("at most 9")]
    assert (re.fullmatch(JSON_TYPES[Kind.MONEY]["pattern"], text) is not None) == (not broken)


def test_a_decision_fits_its_schema() -> None:
    decision = Decision(
        decision_id="d",
        decided_at=1,
        placement="home",
        visitor_id="v",
        user_id=None,
        session_id=None,
        results=[Result(item_id="a", score=0.5, source="popular", reasons=["popular"])],
        model_version="1",
        degraded=Degraded(level=3, rung="popular", cause="no consent"),
        rows=[],
        context=Context(device="mobile"),
        derived=derived_of((), Context(device="mobile"), 1),
    )
    DECISION.validate(msgspec.to_builtins(decision))
