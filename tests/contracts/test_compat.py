"""A released schema is kept: what may change, what may not, and how a version is released."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.columns import json_schema
from contracts.compat import breaks, check, main, release
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from contracts.fields import Field, Kind
from contracts.generate import texts

BASE = (
    Field("event_id", Kind.STRING, "id", required=True, max_length=128),
    Field("platform", Kind.STRING, "where", choices=("web", "app")),
    Field("quantity", Kind.INTEGER, "pieces", minimum=1),
    Field("consent_ads", Kind.STRING, "ads", ("consent", "ads"), required=True),
    Field("consent_push", Kind.STRING, "push", ("consent", "push")),
)
ITEMS = (Field("item_id", Kind.STRING, "item", required=True), Field("price", Kind.MONEY, "price"))


def schema(fields: tuple[Field, ...] = BASE, items: tuple[Field, ...] = ITEMS) -> dict[str, Any]:
    return json_schema("event", fields, items)


def changed(name: str, **change: Any) -> tuple[Field, ...]:
    return tuple(replace(field, **change) if field.name == name else field for field in BASE)


KEPT = {
    "an optional field": (*BASE, Field("brand", Kind.STRING, "brand")),
    "an optional nested field": (*BASE, Field("consent_email", Kind.STRING, "mail", ("consent", "email"))),
    "an optional object": (*BASE, Field("geo_city", Kind.STRING, "city", ("geo", "city"))),
    "a wider choice": changed("platform", choices=("web", "app", "store")),
    "a longer text": changed("event_id", max_length=256),
    "a lower minimum": changed("quantity", minimum=0),
    "no minimum": changed("quantity", minimum=None),
    "a required field becomes optional": changed("event_id", required=False),
}
REFUSED = {
    "a field removed": (BASE[1:], "event_id: was string, is removed"),
    "a field retyped": (
        changed("quantity", kind=Kind.STRING),
        "quantity: was integer or null, is null or string",
    ),
    "a new required field": (
        (*BASE, Field("tenant", Kind.STRING, "shop", required=True)),
        "tenant: was absent, is required",
    ),
    "an optional one required": (changed("platform", required=True), "platform: was optional, is required"),
    "a nested one required": (
        changed("consent_push", required=True),
        "consent.push: was optional, is required",
    ),
    "a choice lost": (changed("platform", choices=("web",)), "platform: was may be app, is may not"),
    "a choice introduced": (
        changed("event_id", choices=("a",)),
        "event_id: was any value, is one of a",
    ),
    "a shorter text": (changed("event_id", max_length=64), "event_id: was maxLength 128, is maxLength 64"),
    "a higher minimum": (changed("quantity", minimum=2), "quantity: was minimum 1, is minimum 2"),
    "an object removed": (BASE[:3], "consent: was object, is removed"),
}


@pytest.mark.parametrize("fields", KEPT.values(), ids=KEPT.keys())
def test_what_no_sender_feels_is_kept(fields: tuple[Field, ...]) -> None:
    assert list(breaks(schema(), schema(fields))) == []


@pytest.mark.parametrize(("fields", "line"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_sender_feels_is_named_with_what_was_and_what_is(fields: tuple[Field, ...], line: str) -> None:
    assert line in [str(one) for one in breaks(schema(), schema(fields))]


def test_fields_of_items_are_held_too() -> None:
    found = breaks(schema(), schema(items=ITEMS[:1]))
    assert [str(one) for one in found] == ["items[].price: was null or string, is removed"]


def test_another_pattern_or_format_is_refused_and_a_dropped_one_is_not() -> None:
    old = {"type": "string", "pattern": "^a"}
    assert [str(one) for one in breaks(old, {"type": "string", "pattern": "^b"})] == [
        ": was pattern ^a, is pattern ^b"
    ]
    assert list(breaks(old, {"type": "string"})) == []
    assert list(breaks({"type": "integer"}, {"type": "number"})) == []
    assert list(breaks({"type": "object"}, {"type": "object", "additionalProperties": False}))


LIST = {"type": "array", "items": {"type": "string", "maxLength": 9}}


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"type": "array"}, LIST, ["[]: was anything, is held to type, maxLength"]),
        ({}, {"items": {"enum": ["a"]}}, ["[]: was anything, is held to enum"]),
        (LIST, {"type": "array", "items": {"type": "string"}}, []),
        (LIST, {"type": "array"}, []),
        ({"type": "array"}, {"type": "array", "items": {"description": "anything"}}, []),
        ({"type": "string"}, {"type": ["string", "array"], "items": {"type": "string"}}, []),
        (LIST, {"type": "array", "items": {"type": "string", "maxLength": 8}},
         ["[]: was maxLength 9, is maxLength 8"]),
        (LIST, {**LIST, "maxItems": 3}, [": was maxItems none, is maxItems 3"]),
    ],
)  # fmt: skip
def test_what_a_list_holds_is_compared(old: dict[str, Any], new: dict[str, Any], lines: list[str]) -> None:
    assert [str(one) for one in breaks(old, new)] == lines


UNKNOWN = ", which cannot be compared: say it by type, enum or bounds"


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "anyOf"),
        ({"const": "a"}, "const"),
        ({"$ref": "#/$defs/A", "not": {}}, "$ref, not"),
        ({"items": [{"type": "string"}]}, "items"),
        ({"additionalProperties": {"type": "string"}}, "additionalProperties"),
        (True, "True"),
    ],
)
def test_a_keyword_that_cannot_be_compared_is_refused_wherever_it_stands(rule: Any, named: str) -> None:
    line = f"a: was comparable, is {named}{UNKNOWN}"
    plain, odd = {"properties": {"a": {}}}, {"properties": {"a": rule}}
    # Newly said, said no longer, said as before, and said of a field that is new.
    for old, new in ((plain, odd), (odd, plain), (odd, odd), ({}, odd)):
        assert [str(one) for one in breaks(old, new)] == [line]
    nested = {"properties": {"list": {"type": "array", "items": odd}}}
    assert [str(one) for one in breaks(nested, nested)] == [f"list[].{line}"]


@given(st.sampled_from([*EVENT_FIELDS, *ITEM_FIELDS]))
def test_removing_any_declared_field_is_refused_and_adding_it_back_passes_if_it_is_optional(
    field: Field,
) -> None:
    whole = json_schema("event", EVENT_FIELDS, ITEM_FIELDS)
    less = json_schema(
        "event",
        tuple(one for one in EVENT_FIELDS if one is not field),
        tuple(one for one in ITEM_FIELDS if one is not field),
    )
    assert list(breaks(whole, less))
    assert bool(list(breaks(less, whole))) is field.required


def edited(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    found = copy.deepcopy(json.loads(text))
    change(found)
    return json.dumps(found)


def test_the_declarations_keep_what_was_released() -> None:
    assert check() == []


def test_a_release_is_never_overwritten_and_a_break_needs_a_new_first_number(tmp_path: Path) -> None:
    arguments = ["--folder", str(tmp_path)]
    assert main(arguments) == 1  # nothing released yet
    assert main([*arguments, "--release", "1.0"]) == 0
    assert main(arguments) == 0
    assert [path.name for path in sorted((tmp_path / "1.0").iterdir())] == [
        "catalog.schema.json",
        "event.schema.json",
    ]
    assert main([*arguments, "--release", "1.0"]) == 1
    assert main([*arguments, "--release", "0.9"]) == 1
    assert main([*arguments, "--release", "next"]) == 1
    released = tmp_path / "1.0" / "event.schema.json"
    released.write_text(
        edited(released.read_text(), lambda found: found["properties"].update(gone={"type": "string"}))
    )
    assert check(tmp_path) == ["event.schema.json: gone: was string, is removed"]
    assert main(arguments) == 1
    assert main([*arguments, "--release", "1.1"]) == 1
    assert release("2.0", tmp_path).name == "2.0"
    assert check(tmp_path) == []
    assert (tmp_path / "2.0" / "event.schema.json").read_text() == texts()["event.schema.json"]


def test_versions_are_ordered_by_number(tmp_path: Path) -> None:
    for version in ("1.2", "1.10", "notes"):
        (tmp_path / version).mkdir()
    (tmp_path / "1.10" / "extra.schema.json").write_text("{}")
    assert check(tmp_path) == ["extra.schema.json: was released, is removed"]
