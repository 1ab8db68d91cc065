"""Catalog updates, declared once: each is the whole state of one item from `effective_time` on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias, get_args

import msgspec

from contracts.events import Verdict
from contracts.fields import Field, Kind, Violation, read_field

Availability: TypeAlias = Literal["in_stock", "out_of_stock", "withdrawn"]
AVAILABILITIES: tuple[str, ...] = get_args(Availability)
MOST = 2**62
"""Below what an int64 holds."""
CATALOG_FIELDS = (
    Field("item_id", Kind.STRING, "The shop's item", required=True, max_length=64),
    Field("title", Kind.STRING, "Name shown", required=True, max_length=500),
    Field("description", Kind.STRING, "Text shown", max_length=5000),
    Field("category", Kind.STRING, "Path, as `home > kitchen > mugs`", max_length=500),
    Field("brand", Kind.STRING, "Brand", max_length=200),
    Field("price_minor", Kind.MONEY, "Price, minor units", ("price",), required=True, minimum=1),
    Field("currency", Kind.STRING, "ISO 4217", required=True, max_length=3),
    Field("availability", Kind.STRING, "Whether it can be bought", required=True, choices=AVAILABILITIES),
    Field("available_quantity", Kind.INTEGER, "Pieces in stock", minimum=0),
    Field("margin_minor", Kind.MONEY, "Margin of one piece, minor units", ("margin",)),
    Field("ships_in_days", Kind.INTEGER, "Shipping promise", minimum=0, maximum=365),
    Field("campaign", Kind.STRING, "Campaign it belongs to", max_length=64),
    Field("effective_time", Kind.TIME, "From when it holds, UTC", required=True, minimum=0),
)


def read_catalog(record: object) -> Verdict:
    """Validate one wire record and flatten it; every violation is found, not only the first."""
    if not isinstance(record, Mapping):
        return Verdict(None, (Violation("", str(record)[:200], "a JSON object"),))
    found: list[Violation] = []
    flat = {field.name: read_field(field, record, found) for field in CATALOG_FIELDS}
    return Verdict(None if found else dict(flat), tuple(found))


class CatalogState(msgspec.Struct, frozen=True, gc=False):
    """What serving follows of an update, as it stands in the topic; its other fields are not read."""

    item_id: str
    price_minor: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    currency: str
    availability: Availability
    effective_time: Annotated[int, msgspec.Meta(ge=0, le=MOST)]
