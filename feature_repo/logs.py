"""One JSON line an event on stderr; ids, no personal data."""

from __future__ import annotations

import json
import logging
from typing import Any

LOGGER = logging.getLogger("feature_repo")


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "event", ...}`; further fields come by `extra={"fields": {...}}`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event of the room."""
    LOGGER.log(level, event, extra={"fields": fields})


def log_to_stderr() -> None:
    """Log this room's events to stderr, and others' from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    LOGGER.setLevel(logging.INFO)
