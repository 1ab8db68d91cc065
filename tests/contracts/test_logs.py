"""A log line is one JSON object, whatever it is asked to say."""

from __future__ import annotations

import json
import logging
import sys
from datetime import date

import pytest

from contracts.logs import JsonLines, RoomLog


def test_a_room_writes_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    log = RoomLog("models")
    log("trained", cut=date(2011, 9, 2), rows=7)
    log("refused", "warning", reason="two\nlines")
    out, err = capsys.readouterr()
    first, second = map(json.loads, err.splitlines())
    assert out == ""
    assert first.pop("at").endswith("Z")
    assert first == {"level": "info", "room": "models", "event": "trained", "cut": "2011-09-02", "rows": 7}
    assert (second["level"], second["reason"]) == ("warning", "two\nlines")


def test_a_record_of_a_library_is_one_line_with_its_trace() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("scorer", logging.ERROR, "", 0, "model %s", ("m",), sys.exc_info())
    record.created, record.snapshot = 1.5, "s1"
    line = json.loads(JsonLines().format(record))
    assert (line["at"], line["level"], line["logger"]) == ("1970-01-01T00:00:01.500000Z", "error", "scorer")
    assert (line["event"], line["snapshot"]) == ("model m", "s1")
    assert line["trace"].endswith("ValueError: why")
