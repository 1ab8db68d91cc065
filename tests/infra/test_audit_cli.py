"""`braid audit` as a person runs it: from a folder of their own, with what may be wrong with a file."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import ROOT

BRAID = ROOT / ".venv" / "bin" / "braid"
MUG = {"product_id": "mug", "name": "Mug", "price": 2.5, "currency": "EUR", "category": "Kitchen"}
POT = {"product_id": "pot", "price": "12.00", "currency": "EUR", "quantity": 2}


def call(n: int, event: str, properties: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A Segment call in minute n."""
    at = f"2024-05-01T10:{n:02d}:00.000Z"
    named = {
        "type": "track",
        "event": event,
        "messageId": f"m{n}",
        "anonymousId": "a",
        "properties": properties,
    }
    return {**named, "timestamp": at, "receivedAt": at, **changes}


CONSENT = {"consent": {"categoryPreferences": {"Functional": True}}}
CALLS = [
    call(0, "Product Viewed", MUG, context=CONSENT),
    call(1, "Product Added", POT),
    call(2, "Order Completed", {"products": [MUG, POT]}),
    call(3, "Cart Viewed", {}, anonymousId="b"),
    call(4, "Coupon Applied", {}),
]
TEXT = "\n".join(map(json.dumps, CALLS))


def written(folder: Path, text: str, name: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def braid(*arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"COLUMNS": "120"}
    return subprocess.run([BRAID, *arguments], cwd=at, env=env, capture_output=True, text=True, check=False)


def test_a_person_runs_it_from_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "infra.py").write_text("raise SystemExit('not ours')")
    written(tmp_path, TEXT, "calls.jsonl")
    done = braid("audit", "calls.jsonl", "--json", "out/report.json", at=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[0] == "calls.jsonl, read as segment (Segment's or RudderStack's calls, by its look)"
    assert lines[1].startswith("5 records, 4 events, 1 items with title and price, 1 refused")
    for expected in (
        "event not read: Coupon Applied 1 line 5: "
        '{"type": "track", "event": "Coupon Applied", "messageId": "m4",',
        "view_item 1 25 %",
        # Of four items named two say how many.
        "quantity 50 % ██████████",
        # 2.50 + 2 × 12.00
        "revenue in EUR 26.50",
        # What the first call said holds for the next two; the other visitor said nothing.
        "personalization 75 % 0 % 25 %",
        "price features yes at least 90 % of touched items have a price 100 %",
        "session features no at least 1,000 sessions with at least 2 events 1",
        "report: out/report.json",
    ):
        assert expected in lines, done.stdout
    assert any("--vouch personalization" in line for line in lines)
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {"commit", "machine", "made_at", "data"} <= report.keys()
    assert report["accepted"]["events"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv"], "missing.csv: No such file or directory"),
        (["."], ". is a folder: name its files"),
        (["empty"], "empty: it is empty: give CSV, JSON lines or a JSON array"),
        (["table.parquet"], "table.parquet: it is a Parquet file"),
        (["odd.csv"], "odd.csv begins with 'name,email\\n', which is none of our formats: say --as ga4 |"),
        (["odd.csv", "--as", "rees46"], "odd.csv: the header is 'name,email', not 'event_time,"),
        (["odd.csv", "--as", "csv"], "--as csv: known are ga4,"),
        (["odd.csv", "--vouch", "fun"], "--vouch fun: purposes are analytics,"),
        (
            ["torn.gz", "--as", "ga4"],
            "torn.gz, line 4: Compressed file ended before the end-of-stream marker",
        ),
    ],
)
def test_an_error_is_one_message_and_exit_code_1(arguments: list[str], message: str, tmp_path: Path) -> None:
    written(tmp_path, "", "empty")
    written(tmp_path, "name,email\n", "odd.csv")
    (tmp_path / "table.parquet").write_bytes(b"PAR1\x15\x04")
    (tmp_path / "torn.gz").write_bytes(gzip.compress(TEXT.encode())[:-20])
    done = braid("audit", *arguments, at=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}"), done.stderr
    assert done.stdout == ""
