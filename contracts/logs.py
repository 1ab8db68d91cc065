"""Logs: one JSON line an event on stderr, with ids and counts, no personal data."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass
from typing import Any

from contracts.clock import WallClock, from_micros, to_rfc3339

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@dataclass(frozen=True, slots=True)
class RoomLog:
    """The log of one room: called with an event and its fields, it writes them as one line."""

    room: str

    def __call__(self, event: str, level: str = "info", **fields: object) -> None:
        """Write `at`, `level`, `room`, `event` and the fields; a value that JSON does not know is shown as text."""
        line = {"at": to_rfc3339(WallClock().now()), "level": level, "room": self.room, "event": event}
        sys.stderr.write(json.dumps({**line, **fields}, default=str) + "\n")
        sys.stderr.flush()


class JsonLines(logging.Formatter):
    """The same of a `logging` record: `at`, `level`, `logger`, `event`, whatever `extra` carried, and `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": to_rfc3339(from_micros(int(record.created * 1e6))),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in STANDARD},
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def json_config(level: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: every logger's records from `level` on, as `JsonLines` on stderr."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "contracts.logs.JsonLines"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
        },
        "root": {"handlers": ["stderr"], "level": level},
    }
