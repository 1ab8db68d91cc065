"""Profiles: an attribute is read only where its purpose is granted, as of a time; and the CRM's two shapes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.adapters.crm import adapt_day
from contracts.clock import to_micros
from contracts.errors import SourceError
from contracts.events import PURPOSES
from contracts.profiles import ATTRIBUTES, attributes_of, read_profile, value_of

MAY = datetime(2024, 5, 1, tzinfo=UTC)
JUNE = datetime(2024, 6, 1, tzinfo=UTC)


def profile(attribute: str, value: Any, at: str = "2024-05-01T00:00:00Z", **rest: Any) -> dict[str, Any]:
    return {"user_id": "u1", "attribute": attribute, "value": value, "effective_time": at, **rest}


def flat(*records: dict[str, Any]) -> list[dict[str, Any]]:
    found = [read_profile(record) for record in records]
    assert [verdict.violations for verdict in found] == [()] * len(found)
    return [verdict.event for verdict in found if verdict.event is not None]


def state(at: datetime, digits: str) -> str:
    """Personalization, email, push, analytics, ads: 0 granted, 1 unknown, 2 denied."""
    return f"{to_micros(at):017d}|{digits}"


def test_every_attribute_has_a_purpose_of_consent() -> None:
    assert {attribute.purpose for attribute in ATTRIBUTES.values()} <= set(PURPOSES)
    bound = {name: ATTRIBUTES[name].purpose for name in ("loyalty_tier", "email_frequency", "satisfaction")}
    assert bound == {
        "loyalty_tier": "personalization",
        "email_frequency": "email",
        "satisfaction": "analytics",
    }


def test_values_are_typed_text() -> None:
    rows = flat(
        profile("loyalty_points", 1200),
        profile("interests", ["Kitchen", "Garden", "Kitchen"]),
        profile("member_since", "2024-05-01T00:00:00Z"),
        profile("gift_buyer", None, purpose="personalization"),
    )
    assert [row["value"] for row in rows] == ["1200", "Garden|Kitchen", str(to_micros(MAY)), None]
    assert [value_of(row["attribute"], row["value"]) for row in rows[:3]] == [
        1200,
        ["Garden", "Kitchen"],
        to_micros(MAY),
    ]


@pytest.mark.parametrize(
    ("record", "field", "rule"),
    [
        (profile("shoe_colour", "red"), "attribute", "one of loyalty_tier"),
        (profile("loyalty_points", -1), "value", "at least 0"),
        (profile("loyalty_points", "12"), "value", "an integer"),
        (profile("price_preference", "cheap"), "value", "one of budget, mid, premium"),
        (profile("interests", "Garden"), "value", "a list of 1 to 50 texts"),
        (profile("interests", ["a|b"]), "value", "a text without |"),
        (profile("interests", []), "value", "a list of 1 to 50 texts"),
        (
            profile("loyalty_tier", "gold", purpose="ads"),
            "purpose",
            "loyalty_tier is bound to personalization",
        ),
        (profile("loyalty_tier", "gold", at="today"), "effective_time", "an RFC 3339 time"),
    ],
)
def test_a_broken_rule_is_named(record: dict[str, Any], field: str, rule: str) -> None:
    verdict = read_profile(record)
    assert verdict.event is None
    assert [one.field for one in verdict.violations] == [field]
    assert verdict.violations[0].rule.startswith(rule)


def test_only_what_is_granted_then_is_known_and_of_it_the_newest() -> None:
    rows = flat(
        profile("loyalty_tier", "silver", "2024-01-01T00:00:00Z"),
        profile("loyalty_tier", "gold", "2024-04-01T00:00:00Z"),
        profile("loyalty_tier", "platinum", "2024-05-15T00:00:00Z"),  # after May began
        profile("size_shoe", "42", "2024-01-01T00:00:00Z"),
        profile("size_shoe", None, "2024-03-01T00:00:00Z"),  # erased
        profile("email_frequency", "weekly", "2024-01-01T00:00:00Z"),
        profile("ads_audience", "lapsed", "2024-01-01T00:00:00Z"),
    )
    grants = [state(datetime(2024, 1, 1, tzinfo=UTC), "00112")]
    withdrawn = [*grants, state(datetime(2024, 5, 20, tzinfo=UTC), "20112")]
    assert attributes_of(rows, withdrawn, MAY) == {"loyalty_tier": "gold", "email_frequency": "weekly"}
    assert attributes_of(rows, grants, JUNE)["loyalty_tier"] == "platinum"
    assert attributes_of(rows, withdrawn, JUNE) == {"email_frequency": "weekly"}
    assert attributes_of(rows, [], JUNE) == {}
    # Nothing was said yet when the year before ended.
    assert attributes_of(rows, grants, datetime(2023, 12, 31, tzinfo=UTC)) == {}


def test_a_wide_csv_is_an_attribute_a_record() -> None:
    header = "user_id,updated_at,loyalty_tier,loyalty_points,member_since,interests,gift_buyer,full_name"
    adapted = adapt_day(
        [
            f"{header}\n",
            "u1,2024-05-01T09:00:00Z,gold,1200,2019-03-01,Garden|Kitchen,TRUE,Ada\n",
            "u2,2024-05-01 08:00:00,,many,,,no,Bob\n",
            ",2024-05-01T08:00:00Z,gold,,,,,\n",
            "u3,soon,gold,,,,,\n",
            "u4,2024-05-01T08:00:00Z,gold\n",
        ]
    )
    assert [(one["user_id"], one["attribute"], one["value"]) for one in adapted.profiles or ()] == [
        ("u2", "gift_buyer", "no"),
        ("u1", "loyalty_tier", "gold"),
        ("u1", "loyalty_points", 1200),
        ("u1", "member_since", "2019-03-01T00:00:00.000000Z"),
        ("u1", "interests", ["Garden", "Kitchen"]),
        ("u1", "gift_buyer", "yes"),
    ]
    flat(*(adapted.profiles or ()))
    assert [(one.line, one.reason) for one in adapted.refused] == [
        (1, "attribute not declared, so bound to no purpose"),
        (3, "loyalty_points is no whole number"),
        (4, "no user_id"),
        (5, "unreadable time"),
        (6, "3 columns instead of 8"),
    ]
    assert adapted.refused[0].original == "full_name"


def test_long_json_lines_and_a_semicolon_csv_are_the_same() -> None:
    rows = [profile("interests", ["Garden"]), profile("loyalty_points", 5), profile("size_top", None)]
    as_csv = ["user_id;attribute;value;effective_time"]
    as_csv += [
        f"u1;{name};{value};2024-05-01T00:00:00Z"
        for name, value in (("interests", "Garden"), ("loyalty_points", "5"))
    ]
    from_json, from_csv = adapt_day(map(json.dumps, rows)), adapt_day(as_csv)
    assert from_json.profiles is not None and from_csv.profiles is not None
    assert from_json.profiles[:2] == from_csv.profiles
    # An erasure can only be said in long JSON.
    assert from_json.profiles[2]["value"] is None


def test_another_header_is_an_error() -> None:
    with pytest.raises(SourceError, match="a profile file has user_id"):
        adapt_day(["email,name\n", "a@example.com,Ada\n"])
