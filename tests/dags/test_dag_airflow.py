"""Airflow itself, through the local stack: a run that cannot succeed fails once, says why, and stops the DAG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from contracts.settings import Settings
from infra.airflow import client
from infra.airflow import settings as airflow
from infra.stack import LocalStack
from tests.ports import free_port_base

CUT = date(2011, 8, 30)


@pytest.fixture(scope="module")
def nowhere(settings: Settings) -> Iterator[Settings]:
    """Airflow with a runner that no one declared."""
    own = replace(settings, var=settings.var / "nowhere", port_base=free_port_base(), runner="nowhere")
    stack = LocalStack(own)
    try:
        stack.up(["airflow-scheduler", "airflow-dag-processor"])
        yield own
    finally:
        stack.down()


def test_a_refused_step_fails_without_a_retry_and_nothing_after_it_runs(nowhere: Settings) -> None:
    run = client.run_daily(nowhere, CUT, limit_seconds=120)

    assert (run.state, run.cut) == ("failed", CUT)
    assert {name: task.state for name, task in run.tasks.items()} == {
        "ingest": "failed",
        "features": "upstream_failed",
        "embed": "upstream_failed",
        "publish": "upstream_failed",
        "export": "upstream_failed",
    }
    assert run.tasks["ingest"].tries == 1
    assert run.tasks["ingest"].error == "BRAID_RUNNER='nowhere' is not declared; known are process"


def test_a_failed_day_does_not_hold_up_the_next_run(nowhere: Settings) -> None:
    first = client.run_daily(nowhere, CUT, limit_seconds=120)
    again = client.run_daily(nowhere, CUT, limit_seconds=120)
    assert first.run_id != again.run_id
    assert again.tasks["ingest"].tries == 1


def test_training_takes_its_cut_as_a_parameter(nowhere: Settings) -> None:
    run = client.run_train(nowhere, CUT, limit_seconds=120)
    assert {name: task.state for name, task in run.tasks.items()} == {
        "training-set": "failed",
        "train": "upstream_failed",
    }


def test_the_secret_is_kept_and_closed_to_others(nowhere: Settings) -> None:
    secret = airflow.home(nowhere) / "jwt.secret"
    assert secret.stat().st_mode & 0o077 == 0
    before = secret.read_text()
    airflow.prepare(nowhere)
    assert secret.read_text() == before


def test_without_airflow_the_client_says_what_to_start(settings: Settings) -> None:
    with pytest.raises(client.AirflowError, match=r"does not answer .* start Airflow's units"):
        client.run_daily(settings, CUT)
