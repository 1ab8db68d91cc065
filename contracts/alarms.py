"""Alarms: what a person must look at, a JSON line each in `<var>/alarms.jsonl`, and to a webhook where one is set.

A refused day and a failed task write the same record, so that one reader (a pager, a chat) serves both.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.logs import RoomLog
from contracts.settings import Settings

WEBHOOK_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        source: `gate` or `airflow`.
        at: RFC 3339, UTC.
        cut: the cut it is about, as YYYY-MM-DD; None where the task has none.
    """

    source: str
    at: str
    error: str
    cut: str | None = None
    dag: str | None = None
    task: str | None = None
    run_id: str | None = None


def alarms_file(settings: Settings) -> Path:
    """Every alarm of this installation, oldest first."""
    return settings.var / "alarms.jsonl"


def raise_alarm(settings: Settings, alarm: Alarm, log: RoomLog) -> None:
    """Keep the alarm and send it to `BRAID_ALARM_WEBHOOK`; a webhook that is away is logged and stops nothing."""
    path = alarms_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    record = asdict(alarm)
    with path.open("a") as lines:
        lines.write(json.dumps(record) + "\n")
    log("alarm", level="error", **record)
    if settings.alarm_webhook is not None:
        try:
            _post(settings.alarm_webhook, record)
        except (OSError, ValueError) as error:
            log("alarm_webhook_failed", level="error", error=str(error))


def _post(url: str, record: Mapping[str, Any]) -> None:
    body = json.dumps(record).encode()
    # The settings let no scheme but http and https through.
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310
    urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS).close()  # noqa: S310
