"""Sources in files: the whole real files where they are found, and what is said where they are not."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from contracts.adapters import online_retail, rees46
from contracts.adapters.files import FileSource
from contracts.adapters.made_up import MADE_UP
from contracts.adapters.sources import ADAPTERS, has_source, open_source
from contracts.adapters.wire import WireDay
from contracts.errors import SourceError
from contracts.settings import Settings

LINE = "536381,22139,TEA SET,1,2011-01-03 09:41:00,4.25,15311.0,United Kingdom"


def shop(folder: Path, *days: str) -> Path:
    """A data folder whose shop was open on `days`, with one line a day."""
    (folder / "online-retail").mkdir()
    for on in days:
        text = f"{','.join(online_retail.COLUMNS)}\n{LINE.replace('2011-01-03', on)}\n"
        (folder / "online-retail" / f"{on}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_a_day_between_open_ones_is_closed_and_empty(tmp_path: Path) -> None:
    source = open_source("online-retail", shop(tmp_path, "2011-01-03", "2011-01-05"))
    assert source.days() == [date(2011, 1, 3), date(2011, 1, 5)]
    assert len(source.read_day(date(2011, 1, 3)).events) == 2
    assert source.read_day(date(2011, 1, 4)).events == []


def test_a_day_outside_the_files_is_an_error(tmp_path: Path) -> None:
    source = open_source("online-retail", shop(tmp_path, "2011-01-03"))
    with pytest.raises(SourceError, match="2011-01-04"):
        source.read_day(date(2011, 1, 4))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    data = shop(tmp_path, "2011-01-03")
    (data / "online-retail" / "2011-01-03.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(SourceError, match=r"2011-01-03\.csv\.gz"):
        open_source("online-retail", data).read_day(date(2011, 1, 3))


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_missing_data_says_where_to_get_it(name: str, tmp_path: Path) -> None:
    for data in (None, tmp_path):
        assert not has_source(name, data)
        with pytest.raises(SourceError, match=r"https://.*simulator"):
            open_source(name, data)
    assert MADE_UP[name]


def test_an_unknown_source_is_named() -> None:
    with pytest.raises(
        SourceError, match="known are crm, ga4, online-retail, otto, rees46, segment, snowplow"
    ):
        open_source("retailrocket", None)


@pytest.mark.parametrize("name", ["online-retail", "rees46"])
def test_every_line_of_a_whole_file_is_accounted_for(name: str, settings: Settings, tmp_path: Path) -> None:
    data = settings.data if has_source(name, settings.data) else whole_file(tmp_path)
    source = open_source(name, data)
    on = source.days()[0]
    day = source.read_day(on)
    with gzip.open(source.folder / f"{on}.csv.gz", "rt", encoding="utf-8") as lines:
        count = sum(1 for _ in lines) - 1
    names = Counter(event["event_name"] for event in day.events)
    refunded = sum(len(event["items"]) for event in day.events if event["event_name"] == "refund")
    closing = names["purchase"] if name == "online-retail" else 0
    assert len(day.events) - closing - names["refund"] + refunded + len(day.refused) == count
    assert len({event["event_id"] for event in day.events}) == len(day.events)
    assert day.events == sorted(day.events, key=lambda event: event["event_time"])


def test_a_source_in_one_file_is_cut_into_days(tmp_path: Path) -> None:
    (tmp_path / "otto").mkdir()
    # 2022-07-31 22:00 and 3 h later, the next day; the second line is none of a device.
    events = [{"aid": n, "ts": 1_659_304_800_000 + n * 10_800_000, "type": "clicks"} for n in (0, 1)]
    lines = [json.dumps({"session": 1, "events": events}), "odd"]
    (tmp_path / "otto" / "train.jsonl").write_text("\n".join(lines))
    source = open_source("otto", tmp_path)
    first, second = source.days()
    assert (first, second) == (date(2022, 7, 31), date(2022, 8, 1))
    days = [source.read_day(on) for on in (first, second)]
    assert [[event["items"][0]["item_id"] for event in day.events] for day in days] == [["0"], ["1"]]
    assert [len(day.refused) for day in days] == [1, 0]
    with pytest.raises(SourceError, match="2022-08-02"):
        source.read_day(date(2022, 8, 2))


def test_json_days_lie_gzipped_and_what_nobody_said_can_be_vouched_for(tmp_path: Path) -> None:
    (tmp_path / "segment").mkdir()
    call = {"type": "page", "anonymousId": "a", "messageId": "m", "timestamp": "2024-05-01T10:00:00Z"}
    denied = {"consent": {"categoryPreferences": {"Functional": False}}}
    lines = [call, call | {"messageId": "n", "anonymousId": "b", "context": denied}]
    text = "\n".join(map(json.dumps, lines)).encode() + b'\n{"type": "\xff"}'
    (tmp_path / "segment" / "2024-05-01.jsonl.gz").write_bytes(gzip.compress(text))
    on = date(2024, 5, 1)
    for vouch, states in (((), ["unknown", "denied"]), (("personalization",), ["granted", "denied"])):
        day = open_source("segment", tmp_path, vouch).read_day(on)
        assert [event["consent"]["personalization"] for event in day.events] == states
        assert [(one.line, one.reason, one.original) for one in day.refused] == [
            (3, "not UTF-8", '{"type": "\\xff"}')
        ]
    assert open_source("segment", tmp_path, ("email",)).made_up["consent vouched for"] == "email"


MAY = [date(2024, 5, day) for day in range(1, 6)]
SAID = {"consent": {"categoryPreferences": {"Functional": True}}}


def segment_days(folder: Path, contexts: dict[date, dict[str, object]]) -> FileSource:
    """A page a day of one visitor, at ten o'clock, under these contexts."""
    (folder / "segment").mkdir()
    for on, context in contexts.items():
        page = {"type": "page", "anonymousId": "a", "messageId": str(on), "timestamp": f"{on}T10:00:00Z"}
        line = json.dumps(page | {"context": context})
        (folder / "segment" / f"{on}.jsonl.gz").write_bytes(gzip.compress(line.encode()))
    return open_source("segment", folder)


def choices(days: Iterable[WireDay]) -> list[tuple[str, str]]:
    consents = [event["consent"] for day in days for event in day.events]
    return [(consent["personalization"], consent["changed_at"][:10]) for consent in consents]


def test_a_choice_of_one_day_is_the_same_choice_on_the_next(tmp_path: Path) -> None:
    # Said, said again, a closed day, silence, withdrawn.
    withdrawn = {"consent": {"categoryPreferences": {"Functional": False}}}
    contexts = dict(zip([*MAY[:2], *MAY[3:]], [SAID, SAID, {}, withdrawn], strict=True))
    source = segment_days(tmp_path, contexts)
    held = [("granted", "2024-05-01")] * 3 + [("denied", "2024-05-05")]
    assert choices(source.read_in_order(MAY)) == held
    # Whatever the range, a day is the same.
    assert list(source.read_in_order(MAY[2:])) == list(source.read_in_order(MAY))[2:]
    assert [source.read_day(on) for on in MAY] == list(source.read_in_order(MAY))
    with pytest.raises(SourceError, match="2024-05-06"):
        source.read_day(date(2024, 5, 6))


def test_a_session_runs_on_over_midnight(tmp_path: Path) -> None:
    (tmp_path / "segment").mkdir()
    for on, at in ((MAY[0], "23:50"), (MAY[1], "00:10")):
        page = {"type": "page", "anonymousId": "a", "messageId": at, "timestamp": f"{on}T{at}:00Z"}
        (tmp_path / "segment" / f"{on}.jsonl.gz").write_bytes(gzip.compress(json.dumps(page).encode()))
    days = list(open_source("segment", tmp_path).read_in_order(MAY[:2]))
    assert len({event["session_id"] for day in days for event in day.events}) == 1


def test_silence_after_allow_all_stays_allowed_on_the_next_day(tmp_path: Path) -> None:
    (tmp_path / "snowplow").mkdir()
    chosen = {
        "event_name": "consent_preferences",
        "unstruct_event_com_snowplowanalytics_snowplow_consent_preferences_1": {"event_type": "allow_all"},
    }
    for on, event in ((MAY[0], chosen), (MAY[1], {"event_name": "page_view"})):
        at = f"{on}T10:00:00.000Z"
        line = {"domain_userid": "a", "event_id": at, "derived_tstamp": at, "collector_tstamp": at, **event}
        (tmp_path / "snowplow" / f"{on}.jsonl.gz").write_bytes(gzip.compress(json.dumps(line).encode()))
    source = open_source("snowplow", tmp_path)
    assert choices([source.read_day(MAY[1])]) == [("granted", "2024-05-01")]


def test_an_event_from_before_the_choice_does_not_take_part_in_it(tmp_path: Path) -> None:
    source = segment_days(tmp_path, {MAY[1]: SAID, MAY[3]: {}})
    # The file of the third day brings what happened a day before the choice.
    late = {"type": "page", "anonymousId": "a", "messageId": "late", "timestamp": "2024-05-01T10:00:00Z"}
    (tmp_path / "segment" / f"{MAY[2]}.jsonl.gz").write_bytes(gzip.compress(json.dumps(late).encode()))
    assert choices(source.read_in_order(MAY[1:4])) == [
        ("granted", "2024-05-02"),
        ("unknown", "1970-01-01"),
        ("granted", "2024-05-02"),
    ]


def whole_file(folder: Path) -> Path:
    """Both sources in small, in their own form."""
    shop(folder, "2011-01-03")
    (folder / "rees46").mkdir()
    row = "2019-10-01 00:00:00 UTC,view,100,1,a.b,aqua,33.20,42,session"
    text = f"{','.join(rees46.COLUMNS)}\n{row}\n{row}\n"
    (folder / "rees46" / "2019-10-01.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder
