"""Every engine's schema, derived from the declarations: JSON Schema, Spark DDL, Flink DDL."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from contracts.catalog import CATALOG_FIELDS
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, LEAD_FIELDS
from contracts.fields import Field, Kind

SPARK_TYPES = {Kind.STRING: "STRING", Kind.TIME: "BIGINT", Kind.INTEGER: "BIGINT", Kind.MONEY: "BIGINT"}
FLINK_TYPES = SPARK_TYPES
JSON_TYPES: dict[Kind, dict[str, Any]] = {
    Kind.STRING: {"type": "string", "minLength": 1},
    Kind.TIME: {"type": "string", "format": "date-time"},
    Kind.INTEGER: {"type": "integer"},
    # As the validator reads it: two decimal places count, zeros after them do no harm.
    Kind.MONEY: {"type": "string", "pattern": r"^-?[0-9]{1,14}(\.[0-9]{1,2}0{0,6})?$"},
}
FLAT_EVENT_FIELDS = (*EVENT_FIELDS, *LEAD_FIELDS)
EVENT_COLUMNS = (*(field.name for field in FLAT_EVENT_FIELDS), "items")
ITEM_COLUMNS = tuple(field.name for field in ITEM_FIELDS)
CATALOG_COLUMNS = tuple(field.name for field in CATALOG_FIELDS)


def spark_event_ddl() -> str:
    """The flat event as Spark DDL; times are microseconds (BIGINT)."""
    item = ", ".join(f"`{f.name}`: {SPARK_TYPES[f.kind]}" for f in ITEM_FIELDS)
    return f"{_spark_columns(FLAT_EVENT_FIELDS)}, `items` ARRAY<STRUCT<{item}>>"


def spark_catalog_ddl() -> str:
    """The flat catalog update as Spark DDL."""
    return _spark_columns(CATALOG_FIELDS)


def flink_event_ddl(
    names: Collection[str] = EVENT_COLUMNS, item_fields: Collection[str] = ITEM_COLUMNS
) -> str:
    """Columns of the flat event as Flink DDL, in the event's order; what is not named is not parsed."""
    item = ", ".join(f"`{f.name}` {FLINK_TYPES[f.kind]}" for f in ITEM_FIELDS if f.name in item_fields)
    types = {f.name: FLINK_TYPES[f.kind] for f in FLAT_EVENT_FIELDS} | {"items": f"ARRAY<ROW<{item}>>"}
    return ",\n  ".join(f"`{name}` {types[name]}" for name in EVENT_COLUMNS if name in names)


def json_schema(title: str, fields: Iterable[Field], items: Iterable[Field] = ()) -> dict[str, Any]:
    """The wire form as JSON Schema (2020-12)."""
    schema = _object_schema(fields)
    item_fields = tuple(items)
    if item_fields:
        schema["properties"]["items"] = {"type": "array", "items": _object_schema(item_fields)}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **schema}


def _spark_columns(fields: Iterable[Field]) -> str:
    return ", ".join(f"`{field.name}` {SPARK_TYPES[field.kind]}" for field in fields)


def _object_schema(fields: Iterable[Field]) -> dict[str, Any]:
    """An object whose nested paths become nested objects."""
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for field in fields:
        *outer, name = field.wire_path
        node = schema
        for key in outer:
            child = {"type": "object", "properties": {}, "required": []}
            parent, node = node, node["properties"].setdefault(key, child)
            if field.required and key not in parent["required"]:
                parent["required"].append(key)
        node["properties"][name] = _value_schema(field)
        if field.required:
            node["required"].append(name)
    return schema


def _value_schema(field: Field) -> dict[str, Any]:
    value = {**JSON_TYPES[field.kind], "description": field.doc}
    if field.choices:
        value["enum"] = list(field.choices)
    if field.kind is Kind.STRING:
        value["maxLength"] = field.max_length
    if field.kind is Kind.INTEGER and field.minimum is not None:
        value["minimum"] = field.minimum
    return value if field.required else {**value, "type": [value["type"], "null"]}
