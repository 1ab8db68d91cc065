"""Day files: what a source gave, after the door; a rerun gives the same bytes."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from contracts.adapters.files import FileSource
from contracts.adapters.sources import has_source, open_source
from contracts.adapters.wire import Refused, Source, WireDay
from contracts.columns import CATALOG_COLUMNS, EVENT_COLUMNS
from contracts.cuts import days_between
from contracts.errors import SourceError
from contracts.settings import Settings
from infra import adapt, spool
from infra.adapt import adapt_range
from infra.dayfiles import KINDS, DayCounts, check_day, day_file, read_lines
from infra.simulator.parameters import ShopParameters
from infra.simulator.source import SimulatedShop
from infra.sources import source_named

SMALL = ShopParameters(items=60, shoppers=40, sessions_per_day=15)
FIRST, LAST = date(2010, 12, 1), date(2010, 12, 3)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_rerun_gives_the_same_bytes_in_one_process_or_two(tmp_path: Path) -> None:
    shop, days = SimulatedShop(SMALL), days_between(FIRST, LAST)
    counts = adapt_range(tmp_path / "one", shop, days, workers=1)
    assert adapt_range(tmp_path / "two", shop, days, workers=2) == counts
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    # Three kinds of three days, and the counts.
    assert len(contents(tmp_path / "one")) == 10


def test_files_hold_flat_records_as_counted(tmp_path: Path) -> None:
    counts = adapt_range(tmp_path, SimulatedShop(SMALL), [FIRST], workers=1)
    events = read_lines(day_file(tmp_path, "simulator", "events", FIRST))
    catalog = read_lines(day_file(tmp_path, "simulator", "catalog", FIRST))
    assert (len(events), len(catalog)) == (counts[FIRST].events, counts[FIRST].catalog)
    assert set(events[0]) == set(EVENT_COLUMNS)
    assert set(catalog[0]) == set(CATALOG_COLUMNS)


def test_counts_of_other_days_stay(tmp_path: Path) -> None:
    for on in (FIRST, LAST, FIRST):
        adapt_range(tmp_path, SimulatedShop(SMALL), [on], workers=1)
    counts = json.loads((tmp_path / "simulator" / "counts.json").read_text())
    assert list(counts) == ["2010-12-01", "2010-12-03"]


def test_what_the_door_refuses_is_kept_beside_what_the_adapter_refused() -> None:
    good, update = SimulatedShop(SMALL).read_day(FIRST).events[0], {"item_id": "a", "price": "0"}
    wire = WireDay([good, {**good, "event_name": "?"}], [update], [Refused(3, "exact duplicate", "a,b")])
    checked = check_day(wire, "simulator", FIRST)
    assert len(checked.events) == 1
    assert [(r.source, r.position) for r in checked.rejected] == [
        ("simulator", "2010-12-01/3"),
        ("simulator/events", f"2010-12-01/{good['event_id']}"),
        ("simulator/catalog", "2010-12-01/a"),
    ]
    assert checked.rejected[0].original == b"a,b"
    assert checked.counts.rejected["exact duplicate"] == 1


def test_a_closed_day_is_three_empty_files(settings: Settings, tmp_path: Path) -> None:
    source = closed_source(settings)
    adapt_range(tmp_path, source, [date(2011, 8, 27)], workers=1)
    assert [read_lines(day_file(tmp_path, source.name, kind, date(2011, 8, 27))) for kind in KINDS] == [
        [],
        [],
        [],
    ]


def closed_source(settings: Settings) -> Source:
    """The real shop, which was closed on 2011-08-27; else a simulated one that nobody visits nor stocks."""
    if has_source("online-retail", settings.data):
        return source_named(settings, "online-retail")
    return SimulatedShop(ShopParameters(items=0, shoppers=0, sessions_per_day=0))


NEGATIVE = "quantity not above 0 outside a refund"


@pytest.mark.parametrize(
    ("on", "counts"),
    [
        # 3,193 lines, 40 invoices and 5 cancellations make the events.
        (date(2011, 8, 30), DayCounts(3238, 1297, {"exact duplicate": 3, "not an item": 27})),
        # 2,123 lines, 68 invoices and 7 cancellations.
        (
            date(2010, 12, 3),
            DayCounts(
                2198,
                1111,
                {"exact duplicate": 17, "not an item": 15, "price not above 0": 5, NEGATIVE: 28},
            ),
        ),
    ],
)
def test_a_real_day_is_as_counted_by_hand(settings: Settings, on: date, counts: DayCounts) -> None:
    """Counted in the file with grep, sort and uniq; without it, the simulator's day has nothing to refuse."""
    if has_source("online-retail", settings.data):
        day = source_named(settings, "online-retail").read_day(on)
        assert check_day(day, "online-retail", on).counts == counts
    else:
        day = SimulatedShop(SMALL).read_day(on)
        checked = check_day(day, "simulator", on).counts
        assert checked == DayCounts(len(day.events), len(day.catalog), {})


def test_the_command_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_DATA", str(tmp_path))
    span = ["--from", "2011-08-29", "--to", "2011-08-30", "--out", str(tmp_path / "days")]
    assert adapt.main(["online-retail", *span]) == 1
    assert "https://archive.ics.uci.edu/dataset/352/online+retail" in capsys.readouterr().err
    assert adapt.main(["simulator", *span, "--items", "30", "--shoppers", "9", "--workers", "1"]) == 0
    assert (tmp_path / "days" / "simulator" / "events" / "2011-08-30.jsonl.gz").is_file()


MAY = days_between(date(2024, 5, 1), date(2024, 5, 4))


def test_days_read_in_order_have_the_same_bytes_in_whatever_range(tmp_path: Path) -> None:
    (tmp_path / "segment").mkdir()
    said = {"consent": {"categoryPreferences": {"Functional": True}}}
    # Said on the first and the second day; the third was closed; silence on the fourth.
    for on, context in zip([*MAY[:2], MAY[3]], (said, said, {}), strict=True):
        page = {"type": "page", "anonymousId": "a", "messageId": str(on), "timestamp": f"{on}T10:00:00Z"}
        line = json.dumps(page | {"context": context}).encode()
        (tmp_path / "segment" / f"{on}.jsonl.gz").write_bytes(gzip.compress(line))
    source = open_source("segment", tmp_path)
    adapt_range(tmp_path / "whole", source, MAY, workers=2)
    for on in reversed(MAY):
        adapt_range(tmp_path / "apart", source, [on], workers=1)
    assert contents(tmp_path / "apart") == contents(tmp_path / "whole")
    events = [e for on in MAY for e in read_lines(day_file(tmp_path / "whole", "segment", "events", on))]
    assert [(e["consent_personalization"], e["consent_changed_at"]) for e in events] == [
        # 2024-05-01T10:00:00Z
        ("granted", 1_714_557_600_000_000)
    ] * 3


def otto_file(folder: Path, devices: int) -> FileSource:
    """Devices with six clicks, twenty hours apart, the later devices earlier in the day; and a line that is none."""
    (folder / "otto").mkdir(parents=True)
    at = 1_659_304_800_000  # 2022-07-31T22:00:00Z
    with (folder / "otto" / "train.jsonl").open("w") as lines:
        for device in range(devices):
            clicks = [
                {"aid": n, "ts": at + (n * 20 * 3600 - device % 3600) * 1000, "type": "clicks"}
                for n in range(6)
            ]
            lines.write(json.dumps({"session": device, "events": clicks}) + "\n")
        lines.write("odd\n")
    return open_source("otto", folder)


def test_a_file_of_all_days_is_cut_into_days_as_each_day_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BUFFERED", 7)
    monkeypatch.setattr(spool, "PART", 3)
    source = otto_file(tmp_path, devices=5)
    days = source.days()
    # 22:00 less some seconds; then 18:00, 14:00, 10:00, 6:00 and 2:00 of the days after.
    assert (days[0], days[-1]) == (date(2022, 7, 31), date(2022, 8, 5))
    counts = adapt_range(tmp_path / "one", source, days, workers=1)
    assert counts == {on: check_day(source.read_day(on), "otto", on).counts for on in days}
    assert counts[days[0]] == DayCounts(5, 0, {"not a JSON object": 1})
    assert [day.events for day in counts.values()] == [5] * 6
    first = read_lines(day_file(tmp_path / "one", "otto", "events", days[0]))
    assert [event["visitor_id"] for event in first] == ["v-4", "v-3", "v-2", "v-1", "v-0"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["otto"]
    # In other parts, by two processes, and a day alone: the same files.
    monkeypatch.undo()
    adapt_range(tmp_path / "two", source, days, workers=2)
    adapt_range(tmp_path / "two", source, days[2:3], workers=1)
    assert lines_of(tmp_path / "one") == lines_of(tmp_path / "two")
    with pytest.raises(SourceError, match="2022-08-06"):
        adapt_range(tmp_path / "two", source, [date(2022, 8, 6)], workers=1)


def lines_of(folder: Path) -> dict[str, bytes]:
    return {path: gzip.decompress(raw) for path, raw in contents(folder).items() if path.endswith(".gz")}


def peak_bytes(do: Callable[[], object]) -> int:
    tracemalloc.start()
    do()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_a_file_of_all_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "BUFFERED", 300)
    small, large = (otto_file(tmp_path / str(devices), devices) for devices in (200, 1600))
    days = small.days()
    cut = [tmp_path / name for name in ("small", "large")]
    for folder in cut:
        folder.mkdir()
    peaks = [
        peak_bytes(partial(spool.spool, source, days, folder))
        for source, folder in zip((small, large), cut, strict=True)
    ]
    assert peaks[1] < 1.5 * peaks[0]
    peaks = [peak_bytes(source.days) for source in (small, large)]
    assert peaks[1] < 1.5 * peaks[0]
