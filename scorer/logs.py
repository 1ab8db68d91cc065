"""Logs: one JSON line an event on stderr, with ids and no personal data."""

from __future__ import annotations

import json
import logging
from typing import Any

from contracts.clock import from_micros, to_rfc3339

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "scorer.logs.JsonLines"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    },
    "root": {"handlers": ["stderr"], "level": "INFO"},
    # The server brings a format of its own; its lines go the same way as ours.
    "loggers": {name: {"handlers": [], "propagate": True, "level": "INFO"} for name in ("_granian",)},
}


class JsonLines(logging.Formatter):
    """`at`, `level`, `logger`, `event`, and whatever `extra` carried."""

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
