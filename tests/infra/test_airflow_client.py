"""What a task's log says of its failure, in the form that Airflow writes: one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

from infra.airflow.client import TaskRun


def failure(message: str) -> str:
    return json.dumps({"event": "Task failed", "error_detail": [{"exc_type": "E", "exc_value": message}]})


def test_the_last_error_is_told_whatever_else_the_log_holds(tmp_path: Path) -> None:
    log = tmp_path / "attempt=1.log"
    lines = (
        failure("first"),
        "Killed",
        "",
        "7",
        '{"event": "cut of',
        failure("gate refuses"),
        '{"event": 1}',
    )
    log.write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    assert TaskRun("failed", 1.0, 1, log).error == "gate refuses"


def test_without_an_error_or_a_log_nothing_is_told(tmp_path: Path) -> None:
    log = tmp_path / "attempt=1.log"
    assert TaskRun("failed", 1.0, 1, log).error == ""
    log.write_text("Killed\n")
    assert TaskRun("failed", 1.0, 1, log).error == ""
