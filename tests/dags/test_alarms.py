"""Alarms: the record of a failed task, kept in a file and posted to a webhook that may be away."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.alarms import Alarm, alarms_file, raise_alarm
from contracts.errors import SettingsError
from contracts.logs import RoomLog
from contracts.settings import Settings, from_environment
from dags.alarms import alarm_of, alarm_on_failure
from infra.stack.units import environment

AT = datetime(2011, 8, 31, 2, 5, tzinfo=UTC)


def context(error: str, cut: date | None) -> dict[str, Any]:
    """What Airflow hands over, as far as an alarm reads it."""

    def cut_from(given: dict[str, Any]) -> date:
        if given["partition_key"] is None:
            raise SettingsError("no cut")
        return date.fromisoformat(given["partition_key"])

    return {
        "task": SimpleNamespace(cut_from=cut_from),
        "task_instance": SimpleNamespace(dag_id="daily", task_id="ingest"),
        "dag_run": SimpleNamespace(run_id="scheduled__2011-08-30"),
        "partition_key": cut and cut.isoformat(),
        "exception": RuntimeError(error),
    }


def test_a_failed_task_says_dag_task_cut_error_and_time() -> None:
    alarm = alarm_of(context("gate bronze_to_silver refuses 2011-08-30", date(2011, 8, 30)), AT)
    assert alarm == Alarm(
        source="airflow",
        at="2011-08-31T02:05:00.000000Z",
        error="gate bronze_to_silver refuses 2011-08-30",
        cut="2011-08-30",
        dag="daily",
        task="ingest",
        run_id="scheduled__2011-08-30",
    )


def test_an_alarm_is_made_of_whatever_is_known() -> None:
    assert alarm_of(context("x" * 3000, None), AT).cut is None
    assert len(alarm_of(context("x" * 3000, None), AT).error) == 2000
    bare = alarm_of({}, AT)
    assert (bare.dag, bare.cut, bare.error) == (None, None, "no exception is known")


def test_alarms_are_kept_and_posted_and_a_webhook_that_is_away_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("BRAID_VAR", str(tmp_path))
        monkeypatch.setenv("BRAID_ALARM_WEBHOOK", f"http://127.0.0.1:{server.server_port}/alarm")
        alarm_on_failure(context("broken", date(2011, 8, 30)))
        server.shutdown()
    away = Settings(var=tmp_path, alarm_webhook=f"http://127.0.0.1:{server.server_port}/alarm")
    raise_alarm(
        away, Alarm("gate", "2011-08-31T02:05:00.000000Z", "refused", "2011-08-30"), RoomLog("spark_jobs")
    )
    kept = [json.loads(line) for line in alarms_file(away).read_text().splitlines()]
    assert [(one["source"], one["cut"], one["error"]) for one in kept] == [
        ("airflow", "2011-08-30", "broken"),
        ("gate", "2011-08-30", "refused"),
    ]
    assert got == [kept[0]]


def test_every_setting_reaches_the_processes_of_the_stack(tmp_path: Path) -> None:
    given = Settings(
        var=tmp_path.resolve(),
        data=tmp_path.resolve(),
        port_base=2000,
        runner="docker",
        stream_idle=timedelta(minutes=5),
        reject_share=0.1,
        alarm_webhook="https://alarms.shop/100%25",
    )
    assert from_environment(environment(given)) == given


def test_the_share_and_the_webhook_are_settings_that_are_checked() -> None:
    assert from_environment({"BRAID_REJECT_SHARE": "0.1"}).reject_share == 0.1
    assert from_environment({}).reject_share == Settings().reject_share == 0.3
    for name, text in (
        ("BRAID_REJECT_SHARE", "2"),
        ("BRAID_REJECT_SHARE", "x"),
        ("BRAID_ALARM_WEBHOOK", "ftp://x"),
        ("BRAID_STREAM_IDLE_SECONDS", "0.5"),
    ):
        with pytest.raises(SettingsError, match=name):
            from_environment({name: text})
