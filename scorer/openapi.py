"""The OpenAPI page, from the same structs that decode and encode, and the event schema of the contracts."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from contracts.columns import json_schema
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from scorer.problems import MEDIA_TYPE
from scorer.wire import (
    EventsAnswer,
    ExplainAnswer,
    Health,
    ProblemDetails,
    RankAnswer,
    RankRequest,
    Readiness,
    RecommendAnswer,
    RecommendRequest,
)

STRUCTS = (
    RecommendRequest,
    RecommendAnswer,
    RankRequest,
    RankAnswer,
    ExplainAnswer,
    EventsAnswer,
    Health,
    Readiness,
    ProblemDetails,
)
REFERENCE = "#/components/schemas/{name}"
DESCRIPTIONS = {
    400: "The body is not JSON",
    404: "The placement is not declared",
    413: "The body is too large",
    422: "A value breaks a rule",
    503: "Not ready, or too many requests at once",
}


SHOPPER = {"visitor_id": "v-17", "session_id": "s-1", "user_id": "17850"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "recommend": {
        "Beside a product": {**SHOPPER, "item_id": "85123A", "count": 5},
        "What fits a wish": {
            **SHOPPER,
            "search_term": "lantern",
            "filter": {"max_price": "9.99"},
            "context": {"device": "mobile"},
        },
        "A cart that the shop knows": {"visitor_id": "v-17", "cart_items": ["85123A", "71053"]},
    },
    "rank": {"A category's items": {**SHOPPER, "items": ["85123A", "71053", "84406B"]}},
    "explain": {"Why these": {**SHOPPER, "count": 3}},
    "events": {
        "Less like this": {
            "event_id": "5f0c",
            "event_name": "preference_set",
            "schema_version": "1",
            "event_time": "2011-09-02T12:00:00Z",
            "received_time": "2011-09-02T12:00:00Z",
            "visitor_id": "v-17",
            "session_id": "s-1",
            "platform": "web",
            "consent": {
                "analytics": "granted",
                "personalization": "granted",
                "ads": "denied",
                "email": "denied",
                "push": "denied",
                "changed_at": "2011-09-01T09:00:00Z",
            },
            "preference": {"action": "less", "scope": "item", "value": "85123A"},
        }
    },
}
"""Bodies by what is asked, each with what it is for; tests send them."""


def body(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    """The request body of a route, for `openapi_extra`."""
    shown = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": schema, "examples": shown}}
    return {"requestBody": {"required": True, "content": content}}


def responses(status: int, answer: type[msgspec.Struct], *problems: int) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: what it gives, and which problems."""
    given: dict[int | str, dict[str, Any]] = {
        status: {
            "description": (answer.__doc__ or "").splitlines()[0],
            "content": {"application/json": {"schema": ref(answer.__name__)}},
        }
    }
    wrong: dict[int | str, dict[str, Any]] = {
        problem: {
            "description": DESCRIPTIONS[problem],
            "content": {MEDIA_TYPE: {"schema": ref(ProblemDetails.__name__)}},
        }
        for problem in problems
    }
    return {**given, **wrong}


def ref(name: str) -> dict[str, Any]:
    """A reference to a component."""
    return {"$ref": REFERENCE.format(name=name)}


def events_schema() -> dict[str, Any]:
    """One event, a list of them, or an object with a list."""
    many = {"type": "array", "items": ref("Event"), "minItems": 1, "maxItems": 1000}
    batch = {"type": "object", "properties": {"events": many}, "required": ["events"]}
    return {"oneOf": [ref("Event"), many, batch]}


def install(app: FastAPI) -> None:
    """Let `app` describe itself with the components of `STRUCTS`; built once, when first asked for."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            page = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            page.setdefault("components", {})["schemas"] = _components()
            app.openapi_schema = page
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _components() -> dict[str, Any]:
    _, components = msgspec.json.schema_components(STRUCTS, ref_template=REFERENCE)
    event = json_schema("Event", EVENT_FIELDS, ITEM_FIELDS)
    return {**components, "Event": {name: part for name, part in event.items() if name != "$schema"}}
