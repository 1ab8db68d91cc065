"""Faults of whole days, made from the contract: records that pass the door and a day that must not pass the gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from contracts.adapters.wire import Record, WireDay
from contracts.catalog import CATALOG_FIELDS
from contracts.events import EVENT_FIELDS, ITEM_FIELDS, PURPOSES
from contracts.fields import Field, Kind
from infra import paths
from infra.faults.fault import KEPT_OUT, REFUSED_DAY, REFUSED_RECORD, Edit, Expected, Fault

FILLED = 0.3
"""A field is filled when so much of the day's records have it: only then can it go missing."""
KINDS = 50
"""A kind of event is usual from so many a day."""


def day_faults(day: WireDay) -> Iterator[Fault]:
    """Every fault that can be planted into a day like this one."""
    yield from _fields(day)
    yield from _clocks()
    yield from _batches()
    yield from _hours(day)
    yield from _people()
    yield from _shop(day)


def _fault(
    name: str, what: str, edits: Sequence[dict[str, Any]], outcome: str | list[str], **reason: Any
) -> Fault:
    return Fault(
        name=f"day/{name}",
        what=what,
        edit=[Edit(**edit) for edit in edits],
        expect=Expected(outcome, **reason),
    )


def _refused(name: str, what: str, edit: dict[str, Any], *causes: str) -> Fault:
    return _fault(name, what, [edit], REFUSED_DAY, cause=list(causes))


def _fields(day: WireDay) -> Iterator[Fault]:
    """Each filled optional field missing, each number in another unit."""
    for into, fields, prefix in (
        ("events", EVENT_FIELDS, ""),
        ("events", ITEM_FIELDS, "items.*."),
        ("catalog", CATALOG_FIELDS, ""),
    ):
        records = getattr(day, into)
        for field in fields:
            path = prefix + field.wire_name
            if _filled(records, path) < FILLED:
                continue
            if not field.required:
                what = f"{path} is no longer sent"
                yield _refused(
                    f"{into}/{path}/missing", what, {"into": into, "drop": [path]}, "coverage", "identity"
                )
            yield from _units(field, into, path)


def _filled(records: list[Record], path: str) -> float:
    have = sum(any(value is not None for value in paths.values(record, path)) for record in records)
    return have / max(1, len(records))


def _units(field: Field, into: str, path: str) -> Iterator[Fault]:
    if field.kind not in (Kind.MONEY, Kind.INTEGER):
        return
    for factor, word in ((100, "hundredfold"), (0.01, "hundredth")):
        edit = {"into": into, "multiply": {path: factor}}
        if factor < 1 and field.kind is Kind.INTEGER:
            outcome: str | list[str] = [REFUSED_RECORD, REFUSED_DAY]
            yield _fault(f"{into}/{path}/{word}", f"{path} in another unit", [edit], outcome,
                         field=path.replace(".*", ""), cause=["amount", "rejects"])  # fmt: skip
        else:
            yield _refused(f"{into}/{path}/{word}", f"{path} in another unit", edit, "amount")
    if field.kind is Kind.MONEY and into == "events":
        part = {"into": into, "share": 0.3, "multiply": {path: 100}}
        yield _refused(
            f"{into}/{path}/hundredfold in part", f"a third of {path} in another unit", part, "amount"
        )


def _clocks() -> Iterator[Fault]:
    both = {"event_time": -5 * 3600, "received_time": -5 * 3600}
    yield _refused(
        "clock/both times five hours early",
        "the zone was taken off twice",
        {"shift": both},
        "clock",
        "volume",
    )
    yield _refused("clock/events three hours behind", "half the devices lag three hours",
                   {"share": 0.5, "shift": {"event_time": -3 * 3600}}, "clock")  # fmt: skip
    yield _refused("clock/events four minutes ahead", "half the devices run ahead, within the door's tolerance",
                   {"share": 0.5, "shift": {"event_time": 240}}, "clock")  # fmt: skip
    week = {"shift": {"event_time": -8 * 24 * 3600}, "share": 0.2}
    yield _fault(
        "clock/events of last week",
        "a fifth arrives eight days late",
        [week],
        REFUSED_RECORD,
        field="too_late",
    )
    ahead = {"shift": {"event_time": 900}, "share": 0.2}
    yield _fault("clock/events a quarter ahead", "a fifth is ahead of its receipt", [ahead], REFUSED_RECORD,
                 field="event_time")  # fmt: skip
    chosen = {"set": {"consent.changed_at": "2011-09-30T00:00:00Z"}, "share": 0.2}
    yield _fault("clock/choices of next month", "consent.changed_at lies ahead", [chosen], REFUSED_RECORD,
                 field="consent.changed_at")  # fmt: skip


def _batches() -> Iterator[Fault]:
    yield _fault("duplicate batch/once", "the day is sent twice", [{"repeat": 1}], KEPT_OUT)
    yield _refused(
        "duplicate batch/three times more", "a sender repeats without end", {"repeat": 3}, "duplicates"
    )
    yield _refused("duplicate batch/new ids", "the day is sent twice, with ids made anew", {"repeat": 1, "as_new": True},
                   "duplicates")  # fmt: skip
    yield _refused("duplicate batch/half, new ids", "half the day is sent twice, with ids made anew",
                   {"repeat": 1, "as_new": True, "share": 0.5}, "duplicates")  # fmt: skip
    yield _refused("duplicate batch/one id", "a third of the events share one id",
                   {"share": 0.3, "set": {"event_id": "00000000"}}, "duplicates")  # fmt: skip


def _hours(day: WireDay) -> Iterator[Fault]:
    on = day.events[0]["received_time"][:10]
    noon, three, ten = (f"{on}T{hour}:00:00Z" for hour in ("12", "15", "10"))
    for name, where in {
        "after noon": {"at_least": noon},
        "before noon": {"at_most": noon},
        "from ten to three": {"at_least": ten, "at_most": three},
    }.items():
        lost = {"where": {"event_time": where}, "remove": True}
        yield _refused(f"truncated/{name}", f"nothing arrived {name}", lost, "volume")
    yield _refused(
        "truncated/all but a few", "one event of fifty arrived", {"share": 0.98, "remove": True}, "volume"
    )
    broken = {"share": 0.5, "drop": ["session_id"]}
    yield _fault("truncated/half the records", "half lost their session", [broken], [REFUSED_DAY],
                 field="session_id", cause="rejects")  # fmt: skip


def _people() -> Iterator[Fault]:
    for path, causes in {
        "visitor_id": ("identity", "bot"),
        "session_id": ("identity",),
        "user_id": ("identity",),
    }.items():
        for name, value in (("one for all", "x"), ("a new one each", "x-{n}")):
            edit = {"set": {path: value}}
            yield _refused(f"{path}/{name}", f"{path} is {name}", edit, *causes, "coverage")
    for purpose in PURPOSES:
        state = "granted" if purpose == "ads" else "denied"
        edit = {"set": {f"consent.{purpose}": state}}
        yield _refused(
            f"consent.{purpose}/all {state}", "the banner sends one answer for all", edit, "consent"
        )


def _shop(day: WireDay) -> Iterator[Fault]:
    crawler = {
        **day.events[0],
        "event_id": "crawler-{n}",
        "event_name": "view_item",
        "visitor_id": "crawler",
        "user_id": None,
        "session_id": "crawl",
    }
    one = {"append": [crawler], "times": 3000, "every_seconds": 1}
    yield _refused("bot/one device", "a crawler opens 3,000 products", one, "bot", "mix", "identity")
    many = {
        "append": [{**crawler, "visitor_id": "c-{n}", "session_id": "s-{n}"}],
        "times": 5000,
        "every_seconds": 1,
    }
    yield _refused(
        "bot/a device a page",
        "a crawler without cookies opens 5,000 products",
        many,
        "bot",
        "mix",
        "identity",
    )
    dollars = {"share": 0.3, "set": {"items.*.currency": "USD"}}
    yield _refused("mixed currency/events", "a third of the prices are called dollars", dollars, "currency")
    catalog = {"into": "catalog", "share": 0.3, "set": {"currency": "USD"}}
    yield _refused("mixed currency/catalog", "a third of the catalog turns to dollars", catalog, "currency")
    mixed = {"where": {"items.1.currency": {"present": True}}, "set": {"items.0.currency": "USD"}}
    yield _fault("mixed currency/within an event", "one item of each order is called dollars", [mixed], REFUSED_RECORD,
                 field="items.currency")  # fmt: skip
    for name in sorted({event["event_name"] for event in day.events}):
        where = {"event_name": name}
        if sum(event["event_name"] == name for event in day.events) >= KINDS:
            yield _refused(
                f"{name}/missing", "its tag is gone", {"where": where, "remove": True}, "mix", "volume"
            )
    yield _refused("event_name/renamed", "carts are sent as views", {"where": {"event_name": "add_to_cart"},
                   "set": {"event_name": "view_item"}}, "mix")  # fmt: skip
    yield _refused("items/unknown", "a tenth of the ids are of another system",
                   {"share": 0.1, "set": {"items.0.item_id": "sku-{n}"}}, "items")  # fmt: skip
    edits: dict[str, dict[str, Any]] = {
        "absent": {"remove": True},
        "other ids": {"set": {"item_id": "sku-{n}"}},
        "one title": {"set": {"title": "Product"}},
        "withdrawn": {"set": {"availability": "withdrawn"}},
        "of last month": {"shift": {"effective_time": -30 * 24 * 3600}},
    }
    for name, edit in edits.items():
        yield _refused(
            f"catalog/{name}", f"the catalog is {name}", {"into": "catalog", **edit}, "catalog", "items"
        )
