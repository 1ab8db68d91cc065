"""The audit: every format by its look, in every wrapping, counted by hand."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.adapters import online_retail, rees46
from contracts.adapters.sources import has_source
from contracts.errors import SourceError
from contracts.settings import Settings
from infra.audit import reading
from infra.audit.audit import Audit, audit
from infra.audit.formats import FORMATS, Recent, guess
from infra.audit.reading import opened
from infra.audit.report import report_of
from infra.audit.tally import Tally
from infra.audit.uses import USES, judge

WEEK = timedelta(days=7)


def call(n: int, kind: str, properties: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A Segment call in minute n."""
    at = f"2024-05-01T10:{n:02d}:00.000Z"
    named = {"type": "page"} if kind == "page" else {"type": "track", "event": kind}
    return named | {
        "messageId": f"m{n}", "anonymousId": "a", "timestamp": at, "receivedAt": at,
        "properties": properties or {}, **changes,
    }  # fmt: skip


MUG = {"product_id": "mug", "name": "Mug", "price": 2.5, "currency": "EUR", "category": "Kitchen"}
POT = {"product_id": "pot", "price": "12.00", "currency": "EUR", "quantity": 2}
CONSENT = {"consent": {"categoryPreferences": {"Functional": True, "Email": True, "Advertising": False}}}
CALLS = [
    call(0, "page"),
    call(1, "Products Searched", {"query": "Mug"}),
    call(2, "Product List Viewed", {"products": [MUG, POT]}),
    call(3, "Product Viewed", MUG, userId="u1", context=CONSENT),
    call(4, "Product Added", POT, userId="u1"),
    call(5, "Order Completed", {"products": [MUG, POT]}, userId="u1"),
    call(5, "Order Completed", {"products": [MUG, POT]}, userId="u1"),  # sent twice
    call(6, "Coupon Applied"),
    call(7, "page", receivedAt="2024-05-09T10:07:00.000Z"),  # eight days late
    call(8, "page", anonymousId="b"),
    call(9, "Order Refunded", {"products": []}),
]
GA4 = {"event_timestamp": "1714557600000000", "event_name": "page_view", "user_pseudo_id": "1.2"}
WIRE = {"event_id": "e", "event_name": "page_view", "visitor_id": "v"}
SNOWPLOW = {
    "event_id": "e",
    "collector_tstamp": "2024-05-01 10:00:00",
    "event": "page_view",
    "domain_userid": "d",
}
OTTO = {"session": 1, "events": [{"aid": 1, "ts": 1_659_304_800_025, "type": "clicks"}]}
CRM = {"user_id": "u1", "updated_at": "2024-05-01", "loyalty_tier": "gold", "shoe": "x"}
RETAIL_LINE = "536381,22139,TEA SET,2,2010-12-01 09:41:00,4.25,15311.0,United Kingdom"
REES46_LINE = "2019-10-01 00:00:00 UTC,view,100,1,a.b,aqua,33.20,42,session"
RETAIL = f"{','.join(online_retail.COLUMNS)}\n{RETAIL_LINE}\nodd\n{RETAIL_LINE}\n{RETAIL_LINE.replace('536381', '536400').replace('-01 ', '-02 ')}\n"
REES46 = f"{','.join(rees46.COLUMNS)}\n{REES46_LINE}\n{REES46_LINE}\n"
SAMPLES = {
    "segment": "\n".join(map(json.dumps, CALLS)),
    "ga4": json.dumps(GA4),
    "snowplow": json.dumps(SNOWPLOW),
    "otto": json.dumps(OTTO),
    "wire": json.dumps(WIRE),
    "crm": json.dumps(CRM),
    "online-retail": RETAIL,
    "rees46": REES46,
}


def written(folder: Path, text: str, name: str = "export") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def audited(path: Path, **how: Any) -> Audit:
    return audit([path], WEEK, **how)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_format_is_known_by_its_look(name: str, tmp_path: Path) -> None:
    assert sorted(SAMPLES) == sorted(FORMATS)
    assert (
        guess(written(tmp_path, f"\n{SAMPLES[name]}" if "{" in SAMPLES[name] else SAMPLES[name])).name == name
    )


def test_what_is_there_is_counted(tmp_path: Path) -> None:
    report = report_of(audited(written(tmp_path, SAMPLES["segment"])))
    assert (report["data"]["format"], report["rows"], report["accepted"]["events"]) == ("segment", 11, 7)
    assert {one["reason"]: one["records"] for one in report["dirt"]} == {
        "event_id seen before": 1,
        "event not read: Coupon Applied": 1,
        "too_late: received more than 7 days after it happened": 1,
        "items: refund names at least one item": 1,
    }
    lines = {one["reason"]: one["examples"][0]["line"] for one in report["dirt"]}
    assert lines["event not read: Coupon Applied"] == 8
    assert {name: n for name, n in report["events"].items() if n} == {
        "page_view": 2, "view_item_list": 1, "view_item": 1, "search": 1, "add_to_cart": 1, "purchase": 1,
    }  # fmt: skip
    # 2 shown, 1 viewed, 1 added, 2 bought; a mug has no quantity.
    assert report["fields"]["item"] | {"index": 0} == {
        "item_id": 1, "price": 1, "currency": 1, "quantity": 0.5, "index": 0, "item_list_id": 0,
        "item_category": 0.5, "item_brand": 0,
    }  # fmt: skip
    assert report["fields"]["event"]["user_id"] == round(3 / 7, 4)
    assert report["shoppers"] == {
        "visitors": 2, "users": 1, "buyers": 1, "sessions": 2, "sessions_with_2_events": 1, "items": 2,
    }  # fmt: skip
    # 2.50 + 2 × 12.00
    assert report["purchases"] == {"purchases": 1, "refunds": 0, "revenue": {"EUR": "26.5"}}
    assert report["consent"]["personalization"] == {"granted": 3, "denied": 0, "unknown": 4}
    assert report["consent"]["ads"] == {"granted": 0, "denied": 3, "unknown": 4}
    assert report["accepted"]["items_described"] == 1
    assert report["span"]["first"] == "2024-05-01T10:00:00.000000Z"


def test_the_shops_word_counts_where_nobody_said_anything(tmp_path: Path) -> None:
    path = written(tmp_path, SAMPLES["segment"])
    vouched = report_of(audited(path, vouch=("personalization", "ads")))["consent"]
    assert vouched["personalization"] == {"granted": 7, "denied": 0, "unknown": 0}
    assert vouched["ads"] == {"granted": 4, "denied": 3, "unknown": 0}


@pytest.mark.parametrize("name", ["segment", "ga4", "snowplow", "otto", "crm"])
def test_lines_array_and_gzip_are_the_same(name: str, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in SAMPLES[name].splitlines()]
    lines = written(tmp_path, SAMPLES[name], "lines")
    pretty = written(tmp_path, json.dumps(rows, indent=2), "array")
    zipped = tmp_path / "zipped"
    zipped.write_bytes(gzip.compress(SAMPLES[name].encode()))
    reports = [report_of(audited(path)) for path in (lines, pretty, zipped)]
    for report in reports:
        del report["seconds"], report["data"]
        for one in report["dirt"]:
            for example in one["examples"]:
                example["text"] = "".join(example["text"].split())[:60]
    assert reports[0] == reports[1] == reports[2]


def test_several_files_are_one_export(tmp_path: Path) -> None:
    half = [
        written(tmp_path, "\n".join(map(json.dumps, part)), f"{n}")
        for n, part in enumerate((CALLS[:6], CALLS[6:]))
    ]
    found = audit(half, WEEK)
    assert (found.tally.lines, found.tally.events, found.tally.refused["event_id seen before"]) == (11, 7, 1)


def test_invoices_are_read_a_day_at_a_time_with_the_files_own_line_numbers(tmp_path: Path) -> None:
    tally = audited(written(tmp_path, RETAIL)).tally
    # One line and its purchase a day; a ragged line, and a repeated one on the same day.
    assert (tally.lines, tally.events, tally.refused.total()) == (4, 4, 2)
    assert tally.examples["exact duplicate"][0]["line"] == 4
    assert tally.examples["1 columns instead of 8"][0]["line"] == 3
    assert tally.revenue == {"GBP": 2 * 2 * 425}


def test_profiles_are_counted_by_attribute(tmp_path: Path) -> None:
    report = report_of(audited(written(tmp_path, f"{SAMPLES['crm']}\n{SAMPLES['crm']}")))
    assert report["profiles"] == {"users": 1, "attributes": {"loyalty_tier": 2}}
    assert [(one["reason"], one["records"]) for one in report["dirt"]] == [
        ("attribute not declared, so bound to no purpose", 1)
    ]


@pytest.mark.parametrize(("items", "possible"), [(99, False), (100, True)])
def test_a_use_is_possible_when_every_need_is_met(items: int, possible: bool) -> None:
    tally = Tally(labels=10_000, first=0, last=21 * 86_400_000_000 - 1)
    tally.items.update({f"i{n}": 5 for n in range(items)} | {"rare": 4})
    tally.described = {f"i{n}" for n in range(items)}
    (tower,) = (one for one in judge(tally) if one.use.name.startswith("two-tower"))
    assert [finding.found for finding in tower.findings[:2]] == [10_000, items]
    assert tower.findings[3].found == 21
    assert tower.is_possible is possible
    assert len(judge(Tally())) == len(USES)
    assert not any(one.is_possible for one in judge(Tally()))


def test_a_long_element_and_a_broken_end_of_an_array(tmp_path: Path) -> None:
    long = GA4 | {"stream_id": "x" * 300_000}
    text = f"[{json.dumps(GA4)},\n {json.dumps(long)} , {json.dumps(GA4 | {'event_timestamp': '1714557600000001'})}, {{"
    tally = audited(written(tmp_path, text)).tally
    assert (tally.lines, tally.events, dict(tally.refused)) == (4, 3, {"not a JSON object": 1})


def test_an_element_without_an_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_ELEMENT", 1 << 17)
    with pytest.raises(SourceError, match="does not end"):
        audited(written(tmp_path, f'[{json.dumps(GA4)}, {{"a": "{"x" * 500_000}"'), name="ga4")


def test_recent_forgets_what_is_far_back() -> None:
    recent = Recent(size=2)
    for text in "abcd":
        recent.add(text)
    assert ["a" in recent, "b" in recent, "c" in recent, "d" in recent] == [True, True, True, True]
    recent.add("e")
    assert ["a" in recent, "b" in recent, "c" in recent, "e" in recent] == [False, False, True, True]


@pytest.mark.parametrize("name", [None, *sorted(FORMATS)])
@hypothesis.settings(deadline=None)  # a file each: the disk's time is no finding
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_file_is_an_audit_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str | None, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    try:
        found = audited(path, name=name)
    except SourceError as error:
        assert str(path) in str(error)
    else:
        assert found.tally.events == 0


def real(settings: Settings, name: str) -> Path | None:
    """The first file of a real source, where it is found."""
    if not has_source(name, settings.data):
        return None
    assert settings.data is not None
    return min(path for path in (settings.data / name).iterdir())


@pytest.mark.parametrize(
    ("name", "lines", "events"),
    [
        # 20 devices with 862 touches, 10 of them in 5 orders; wc, grep and jq count the same.
        ("otto", 20, {"view_item": 800, "add_to_cart": 52, "purchase": 5}),
        # 17,434 lines; 19 prices of 0.00 and 5 repeated lines.
        ("rees46", 17_434, {"view_item": 17_032, "add_to_cart": 164, "purchase": 214}),
        # 2010-12-01: 3,108 lines; the source's own test counts what becomes of them.
        ("online-retail", 3_108, None),
    ],
)
def test_a_real_file_is_as_counted(
    settings: Settings, tmp_path: Path, name: str, lines: int, events: dict[str, int] | None
) -> None:
    path = real(settings, name)
    tally = audited(path or written(tmp_path, SAMPLES[name])).tally
    if path is None:
        assert tally.events > 0
        return
    assert tally.lines == lines
    assert events is None or tally.names == events
    assert tally.span_days == (29 if name == "otto" else 1)
    assert sum(len(found) <= 3 for found in tally.examples.values()) == len(tally.refused)


def test_lines_are_counted_without_blank_ones(tmp_path: Path) -> None:
    with opened(written(tmp_path, "\n\na,b\n\n1,2\n")) as lines:
        assert [line for line in lines if line.strip()] == ["a,b\n", "1,2\n"]
        assert (lines.count, lines.has_header) == (2, True)
