"""Snowplow's e-commerce: an enriched event as a JSON line becomes one event.

The action (`snowplow_ecommerce_action`) says what happened; the products, the step and the list stand in entities
beside it. Both forms are read: the columns of the analytics SDKs and warehouses
(`contexts_com_snowplowanalytics_snowplow_ecommerce_product_1`) and self-describing JSON (`contexts`,
`unstruct_event`). Property names are read without case and underscores, as loaders rename them.

Source: https://docs.snowplow.io/docs/events/ootb-data/ecommerce-events/ (snowplow_ecommerce_action 1-0-2),
https://docs.snowplow.io/docs/events/ootb-data/consent-events/ (consent_preferences 1-0-0),
https://docs.snowplow.io/docs/fundamentals/canonical-event/ (the columns).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contracts.adapters.pieces import Piece, Row, day_of, identity_of, json_pieces, not_read, update_of
from contracts.adapters.segment import PURPOSES_OF
from contracts.adapters.trails import said
from contracts.adapters.values import Unfit, known, moment, objects, price, text, whole
from contracts.adapters.wire import Record, WireDay
from contracts.events import PURPOSES, SCHEMA_VERSION

ACTIONS = {
    "product_view": "view_item",
    "list_view": "view_item_list",
    "list_click": "select_item",
    "add_to_cart": "add_to_cart",
    "remove_from_cart": "remove_from_cart",
    "transaction": "purchase",
    "refund": "refund",
}
EVENTS = {"page_view": "page_view", "site_search": "search", "consent_preferences": "consent_update"}
PLATFORMS = {"web": "web", "mob": "app", "app": "app", "srv": "server"}
ALL_CHOICES = {
    "allow_all": "granted",
    "deny_all": "denied",
    "withdrawn": "denied",
    "expired": "unknown",
    "pending": "unknown",
}
"""What a consent event says of every purpose; `allow_selected` names them, `implicit_consent` is no choice."""
COLUMN = re.compile(r"(?:contexts|unstruct_event)_(?P<name>[a-z0-9_]+?)_[0-9]+(?:_[0-9]+_[0-9]+)?")
SCHEMA = re.compile(r"iglu:(?P<vendor>[^/]+)/(?P<name>[^/]+)/jsonschema/[0-9-]+")
READ = (
    "snowplow_ecommerce_action",
    "consent_preferences",
    "client_session",
    "checkout_step",
    "site_search",
    "web_page",
    "product",
)
# A column runs vendor and name together.
COLUMNS = {
    f"{vendor}_{name}": name
    for vendor in ("com_snowplowanalytics_snowplow", "com_snowplowanalytics_snowplow_ecommerce")
    for name in READ
}
Entities = dict[str, list[dict[str, Any]]]


def adapt_day(lines: Iterable[str]) -> WireDay:
    """The wire records of one day's events."""
    return day_of(pieces(lines))


def pieces(lines: Iterable[str]) -> Iterator[Piece]:
    """The piece of each event."""
    return json_pieces(lines, adapt_record)


def adapt_record(row: Row, line: int, original: str) -> Piece:
    """One event, and a catalog update for each product it names and prices.

    Raises:
        Unfit: it is no event of the contract.
    """
    entities = _entities(row)
    name = _name(row, entities)
    client = _first(entities, "client_session")
    visitor = text(row.get("domain_userid")) or text(client.get("userid")) or text(row.get("network_userid"))
    if visitor is None:
        raise Unfit("no domain_userid, client session or network_userid")
    received = moment(row.get("collector_tstamp"))
    at = moment(row["derived_tstamp"]) if row.get("derived_tstamp") is not None else received
    action = _first(entities, "snowplow_ecommerce_action")
    named = [(_item(product, action), product) for product in entities.get("product", ())]
    event: Record = {
        "event_id": text(row.get("event_id")) or identity_of(original),
        "event_name": name,
        "schema_version": SCHEMA_VERSION,
        "event_time": at,
        "received_time": received,
        "visitor_id": visitor,
        "user_id": text(row.get("user_id")),
        "session_id": text(row.get("domain_sessionid")) or text(client.get("sessionid")),
        "platform": PLATFORMS.get(str(row.get("platform")), "web"),
        "consent": _consent(_first(entities, "consent_preferences")),
        "context": _context(row),
        **known(
            page_view_id=text(_first(entities, "web_page").get("id")),
            search_term=_terms(entities) if name == "search" else None,
        ),
        "items": [item for item, _ in named],
    }
    updates = [update for item, product in named for update in update_of(item, text(product.get("name")), at)]
    return Piece(line, original, [event], updates)


def _entities(row: Row) -> Entities:
    """The entities we read and the self-describing event, by the name of their schema."""
    found: Entities = {}
    for key, value in row.items():
        column = COLUMN.fullmatch(key)
        name = COLUMNS.get(column["name"]) if column and value is not None else None
        if name is not None:
            data: list[Any] = value if isinstance(value, list) else [value]
            found.setdefault(name, []).extend(map(_plain, objects(data, key)))
    for described in _described(row.get("contexts")) + _described(row.get("unstruct_event")):
        schema, its = SCHEMA.fullmatch(str(described.get("schema"))), described.get("data")
        if schema and schema["name"] in READ and isinstance(its, Mapping):
            found.setdefault(schema["name"], []).append(_plain(its))
    return found


def _described(value: object) -> list[Mapping[str, Any]]:
    """The self-describing objects inside `contexts` or `unstruct_event`."""
    data = value.get("data") if isinstance(value, Mapping) else value
    if isinstance(data, Mapping):
        return [data]
    return [one for one in data if isinstance(one, Mapping)] if isinstance(data, list) else []


def _plain(entity: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("_", "").lower(): value for key, value in entity.items()}


def _first(entities: Entities, name: str) -> dict[str, Any]:
    found = entities.get(name)
    return found[0] if found else {}


def _name(row: Row, entities: Entities) -> str:
    action = _first(entities, "snowplow_ecommerce_action").get("type")
    if action is not None:
        if action == "checkout_step":
            step = whole(_first(entities, "checkout_step").get("step"), "checkout_step.step")
            if step not in (None, 1):
                raise Unfit("checkout step after the first")
            return "begin_checkout"
        if not isinstance(action, str) or action not in ACTIONS:
            raise Unfit(not_read("action", action))
        return ACTIONS[action]
    named = row.get("event_name") or row.get("event")
    if isinstance(named, str) and named in EVENTS:
        return EVENTS[named]
    for entity in ("consent_preferences", "site_search"):
        if entity in entities:
            return EVENTS[entity]
    raise Unfit(not_read("event", named))


def _item(product: Mapping[str, Any], action: Mapping[str, Any]) -> Record:
    category = text(product.get("category"))
    return known(
        item_id=text(product.get("id")),
        price=price(product.get("price"), "product.price"),
        currency=text(product.get("currency")),
        quantity=whole(product.get("quantity"), "product.quantity"),
        index=whole(product.get("position"), "product.position"),
        item_list_id=text(action.get("name")),
        item_category=" > ".join(part.strip() for part in category.split("/")) if category else None,
        item_brand=text(product.get("brand")),
    )


def _consent(preferences: Mapping[str, Any]) -> Record | None:
    """The choice of a consent event; other events say nothing and keep the visitor's last one."""
    kind = preferences.get("eventtype")
    if kind == "allow_selected":
        scopes = preferences.get("consentscopes")
        names = [str(one).strip().lower() for one in scopes] if isinstance(scopes, list) else []
        allowed = {PURPOSES_OF[name] for name in names if name in PURPOSES_OF}
        return _version(said(**{p: "granted" if p in allowed else "denied" for p in PURPOSES}), preferences)
    state = ALL_CHOICES.get(kind) if isinstance(kind, str) else None
    return _version(said(**dict.fromkeys(PURPOSES, state)), preferences) if state else None


def _version(choice: Record, preferences: Mapping[str, Any]) -> Record:
    return choice | known(policy_version=text(preferences.get("consentversion")))


def _terms(entities: Entities) -> str | None:
    terms = _first(entities, "site_search").get("terms")
    return text(" ".join(str(term) for term in terms)) if isinstance(terms, list) else text(terms)


def _context(row: Row) -> Record:
    device = (text(row.get("dvce_type")) or "").lower()
    return known(
        device={"computer": "desktop"}.get(device, device) or None,
        channel=text(row.get("mkt_medium")) or text(row.get("refr_medium")),
        country=text(row.get("geo_country")),
        locale=text(row.get("br_lang")),
    )
