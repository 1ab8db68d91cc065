"""One JSON line an event on stderr; ids and counts, no personal data."""

from __future__ import annotations

import json
import sys
import time


def log(event: str, **fields: object) -> None:
    """Log one event of the room; values that JSON does not know are shown as text."""
    line = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "room": "models",
        "event": event,
        **fields,
    }
    sys.stderr.write(json.dumps(line, default=str) + "\n")
    sys.stderr.flush()
