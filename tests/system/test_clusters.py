"""The same jobs on clusters: Spark standalone with two workers, Flink with two TaskManagers; one settings file differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from contracts.settings import TOPICS, Settings
from contracts.settings_file import fields_of
from flink_jobs.rest import Cluster
from infra.dayfiles import write_day
from infra.demo.process import run_step
from infra.simulator.parameters import ShopParameters
from infra.simulator.source import SimulatedShop
from infra.stack import LocalStack
from infra.stack.spark import WORKERS, master_state, master_url, worker_state
from tests.flink_jobs.kit import Tail, unique, wait_for
from tests.system.stream_load import all_arrived, check_exact, kill, load, some_rows

pytestmark = pytest.mark.long
FIRST, LAST = date(2011, 8, 1), date(2011, 8, 2)
SHOP = ShopParameters(seed=6, items=60, shoppers=80, sessions_per_day=60, first_day=FIRST)
SPARK_UNITS = ["spark-master", *(f"spark-worker-{number}" for number in WORKERS)]
TASKMANAGERS = ["flink-taskmanager", "flink-taskmanager-2"]


@pytest.fixture(scope="module")
def cluster_settings(own_settings: Settings) -> Settings:
    """What a cluster changes: the master, and a stream job wider than this machine, two slots a TaskManager."""
    return replace(
        own_settings,
        spark_master=master_url(own_settings),
        spark_executor_memory="900m",
        stream_parallelism=4,
        stream_slots=2,
    )


@pytest.fixture(scope="module")
def cluster(cluster_settings: Settings) -> Iterator[LocalStack]:
    """A stack of this module's own; each test starts its engine and stops it again."""
    stack = LocalStack(cluster_settings)
    try:
        yield stack
    finally:
        stack.down()


def content(settings: Settings) -> dict[str, list[str]]:
    """Every Delta table's rows as sorted text, its columns in one order."""
    return {path.parent.name: _rows(path.parent) for path in settings.lake.glob("*/_delta_log")}


def _rows(table: Path) -> list[str]:
    found = DeltaTable(table).to_pyarrow_table()
    return sorted(str(row) for row in found.select(sorted(found.column_names)).to_pylist())


def executors(settings: Settings) -> dict[int, int]:
    """How many executors each worker has run to their end."""
    return {number: len(worker_state(settings, number)["finishedexecutors"]) for number in WORKERS}


def test_the_batch_on_two_workers_writes_what_one_machine_does(
    cluster: LocalStack, cluster_settings: Settings
) -> None:
    days, shop = cluster_settings.days, SimulatedShop(SHOP)
    for n in range((LAST - FIRST).days + 1):
        write_day(days, shop, FIRST + timedelta(days=n))
    jobs = ("spark_jobs", "--jobs", "bronze,silver,gold", "--source", f"days:{shop.name}")
    span = ("--from", FIRST.isoformat(), "--cut", LAST.isoformat())

    cluster.up(SPARK_UNITS)
    run_step(cluster_settings, "on-workers", *jobs, *span)
    assert executors(cluster_settings) == {1: 1, 2: 1}
    [application] = master_state(cluster_settings)["completedapps"]
    assert (application["state"], application["cores"]) == ("FINISHED", 2)
    cluster.down(SPARK_UNITS)

    laptop = replace(cluster_settings, var=cluster_settings.var / "laptop", spark_master="local[2]")
    laptop.var.mkdir()
    laptop.days.symlink_to(days)
    run_step(laptop, "on-one-machine", *jobs, *span)
    expected = content(laptop)
    assert {len(rows) > 0 for table, rows in expected.items() if table.startswith("gold_")} == {True}
    assert content(cluster_settings) == expected


def places(settings: Settings) -> set[str]:
    """The TaskManagers that hold tasks of the running job."""
    rest = Cluster(settings.flink_url)
    [job] = [one["jid"] for one in rest.get("/jobs/overview")["jobs"] if one["state"] == "RUNNING"]
    vertices = [one["id"] for one in rest.get(f"/jobs/{job}")["vertices"]]
    told: list[dict[str, Any]] = [rest.get(f"/jobs/{job}/vertices/{vertex}") for vertex in vertices]
    return {task["taskmanager-id"] for vertex in told for task in vertex["subtasks"]}


def test_the_stream_on_two_taskmanagers_counts_exactly_though_one_is_killed(
    cluster: LocalStack, cluster_settings: Settings
) -> None:
    cluster.up(TASKMANAGERS)
    cluster.up(["flink-job"])
    before = places(cluster_settings)
    assert len(before) == 2
    tag, rows = unique("two"), Tail(cluster_settings, TOPICS.online_features)
    with load(cluster_settings, tag) as third:
        third.wait()
        some_rows(rows, tag)
        kill(cluster, "flink-taskmanager-2")
        cluster.up([*TASKMANAGERS, "flink-job"])
    check_exact(wait_for(lambda: rows.rows("session", tag), all_arrived))
    after = places(cluster_settings)
    assert len(after) == 2
    assert len(after & before) == 1


def test_the_processes_read_one_settings_file(cluster: LocalStack, cluster_settings: Settings) -> None:
    told = fields_of({"BRAID_SETTINGS": str(cluster_settings.handed_on)})
    assert (told["spark_master"], told["stream_parallelism"]) == (master_url(cluster_settings), 4)
