"""Profiles: what CRM, loyalty programme and questionnaires say of a user, each attribute bound to one purpose.

A profile record is one attribute of one user from `effective_time` on; null erases it. It is read under the fields'
rules (`contracts.fields`), as events are. Who reads profiles reads them through `attributes_of`: an attribute
whose purpose the shopper does not grant does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from contracts.clock import to_micros
from contracts.consent import changed_at_of, granted, newest
from contracts.events import Verdict
from contracts.fields import Field, Kind, Violation, read_field

Value = str | int | list[str]
SEPARATOR = "|"
MAX_VALUES = 50
VALUE = ("value",)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One declared attribute.

    Attributes:
        field: its type and rules; of one value where there are `many` (a list of texts on the wire).
        purpose: what must be granted for it to be read.
    """

    field: Field
    purpose: str
    many: bool = False

    @property
    def name(self) -> str:
        return self.field.name


def _attribute(name: str, purpose: str, doc: str, kind: Kind = Kind.STRING, **rules: Any) -> Attribute:
    many = rules.pop("many", False)
    return Attribute(Field(name, kind, doc, VALUE, **{"max_length": 64, **rules}), purpose, many)


ATTRIBUTES = {
    attribute.name: attribute
    for attribute in (
        # Loyalty programme.
        _attribute("loyalty_tier", "personalization", "Tier, as the programme names it", max_length=32),
        _attribute("loyalty_points", "personalization", "Points held", Kind.INTEGER, minimum=0),
        _attribute("member_since", "personalization", "Start of the membership", Kind.TIME, minimum=0),
        # Questionnaire.
        _attribute("interests", "personalization", "Categories liked, as the catalog's paths", many=True, max_length=500),
        _attribute("favourite_brands", "personalization", "Brands liked", many=True, max_length=200),
        _attribute("size_top", "personalization", "Size worn above", max_length=16),
        _attribute("size_bottom", "personalization", "Size worn below", max_length=16),
        _attribute("size_shoe", "personalization", "Size of shoes", max_length=16),
        _attribute("price_preference", "personalization", "Price level sought", choices=("budget", "mid", "premium")),
        _attribute("gift_buyer", "personalization", "Buys for others", choices=("yes", "no")),
        # What may be sent.
        _attribute("email_frequency", "email", "Mails wanted", choices=("daily", "weekly", "monthly", "never")),
        _attribute("email_topics", "email", "Newsletters chosen", many=True),
        _attribute("birth_month", "email", "For the birthday mail", Kind.INTEGER, minimum=1, maximum=12),
        _attribute("push_topics", "push", "Notifications chosen", many=True),
        _attribute("satisfaction", "analytics", "Would recommend the shop", Kind.INTEGER, minimum=0, maximum=10),
        _attribute("ads_audience", "ads", "Audience it belongs to"),
    )
}  # fmt: skip
PROFILE_FIELDS = (
    Field("user_id", Kind.STRING, "Pseudonymous, as in events", required=True, max_length=128),
    Field("attribute", Kind.STRING, "Of `ATTRIBUTES`", required=True, choices=tuple(ATTRIBUTES)),
    Field("effective_time", Kind.TIME, "From when it holds, UTC", required=True, minimum=0),
)
PROFILE_COLUMNS = ("user_id", "attribute", "value", "purpose", "effective_time")


def read_profile(record: object) -> Verdict:
    """Validate one wire record and flatten it to `PROFILE_COLUMNS`; every violation is found, not only the first.

    `value` is text in the flat form: whole numbers and times (µs) as digits, a list sorted, once each and joined by
    `|`; `purpose` may stand on the wire, and must then be the declared one.
    """
    if not isinstance(record, Mapping):
        return Verdict(None, (Violation("", str(record)[:200], "a JSON object"),))
    found: list[Violation] = []
    flat: dict[str, Any] = {field.name: read_field(field, record, found) for field in PROFILE_FIELDS}
    attribute = ATTRIBUTES.get(str(flat["attribute"]))
    if attribute is not None:
        if record.get("purpose") not in (None, attribute.purpose):
            bound = f"{attribute.name} is bound to {attribute.purpose}"
            found.append(Violation("purpose", str(record["purpose"])[:200], bound))
        flat |= {"value": _read_value(attribute, record, found), "purpose": attribute.purpose}
    return Verdict(None if found else {name: flat[name] for name in PROFILE_COLUMNS}, tuple(found))


def value_of(attribute: str, text: str) -> Value:
    """The typed value of a flat record's text; KeyError names an attribute that is not declared."""
    declared = ATTRIBUTES[attribute]
    if declared.many:
        return text.split(SEPARATOR)
    return text if declared.field.kind is Kind.STRING else int(text)


def attributes_of(
    profiles: Iterable[Mapping[str, Any]], states: Sequence[str], as_of: datetime
) -> dict[str, Value]:
    """What may be known of one user at `as_of`: the newest value of each attribute whose purpose is granted then.

    Args:
        profiles: the user's flat records, in any order.
        states: every consent state known of the shopper (`contracts.consent`), of the user's and the devices' keys.
    """
    at = to_micros(as_of)
    state = newest([state for state in states if changed_at_of(state) <= at])
    held: dict[str, Mapping[str, Any]] = {}
    for row in profiles:
        if row["effective_time"] <= at and granted(state, ATTRIBUTES[row["attribute"]].purpose):
            known = held.setdefault(row["attribute"], row)
            if row["effective_time"] > known["effective_time"]:
                held[row["attribute"]] = row
    return {
        name: value_of(name, row["value"]) for name, row in sorted(held.items()) if row["value"] is not None
    }


def _read_value(attribute: Attribute, record: Mapping[str, Any], found: list[Violation]) -> str | None:
    if not attribute.many:
        flat = read_field(attribute.field, record, found)
        return None if flat is None else str(flat)
    values = record.get("value")
    if values is None:
        return None
    if not isinstance(values, list) or not 0 < len(values) <= MAX_VALUES:
        found.append(Violation("value", str(values)[:200], f"a list of 1 to {MAX_VALUES} texts"))
        return None
    return _joined(attribute, values, found)


def _joined(attribute: Attribute, values: list[Any], found: list[Violation]) -> str:
    texts: set[str] = set()
    for value in values:
        if value is None or (isinstance(value, str) and SEPARATOR in value):
            found.append(Violation("value", str(value)[:200], f"a text without {SEPARATOR}"))
            continue
        flat = read_field(attribute.field, {"value": value}, found)
        texts.add(str(flat))
    return SEPARATOR.join(sorted(texts))
