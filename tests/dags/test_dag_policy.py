"""The policy over all DAGs, as Airflow loads them: a new DAG that breaks it fails here."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.settings import ROOT
from contracts.tables import TABLES

DAGS = ROOT / "dags"
HEADINGS = ("## When a task fails", "## A refused day", "## Rerun and backfill")
ROOMS = {"spark_jobs", "feature_repo", "models"}


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [ROOT / ".venv-airflow" / "bin" / "python", Path(__file__).with_name("dump_dags.py")],
        env={"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("DUMP ")]
    assert lines, done.stderr
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("DUMP "))
    return found


def tasks_of(dump: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}.{task}", known)
        for name, dag in dump["dags"].items()
        for task, known in dag["tasks"].items()
    ]


def test_every_dag_loads(dump: dict[str, Any]) -> None:
    assert dump["errors"] == {}
    assert set(dump["dags"]) == {"daily", "items", "train"}


def test_every_dag_has_a_run_book_that_speaks_of_each_task(dump: dict[str, Any]) -> None:
    for name, dag in dump["dags"].items():
        missing = [heading for heading in HEADINGS if heading not in dag["doc_md"]]
        untold = [task for task in dag["tasks"] if f"- **{task}**" not in dag["doc_md"]]
        assert (missing, untold) == ([], []), name


def test_every_dag_runs_alone_is_tagged_and_ends(dump: dict[str, Any]) -> None:
    for name, dag in dump["dags"].items():
        assert dag["tags"], name
        assert dag["file"] == f"{name}.py"
        assert not dag["catchup"], name
        assert dag["max_active_runs"] == 1, name
        assert dag["timeout_seconds"] >= max(task["timeout_seconds"] for task in dag["tasks"].values()), name


def test_every_task_is_owned_tried_again_and_bounded(dump: dict[str, Any]) -> None:
    for name, task in tasks_of(dump):
        assert task["owner"] == "braid", name
        assert 1 <= task["retries"] <= 3, name
        assert 0 < task["timeout_seconds"] <= 3600, name
        assert not task["depends_on_past"], name


def test_every_task_raises_an_alarm_when_it_fails(dump: dict[str, Any]) -> None:
    for name, task in tasks_of(dump):
        assert task["alarms"] == ["alarm_on_failure"], name


def test_every_command_is_a_rooms_command_for_the_cut(dump: dict[str, Any]) -> None:
    for name, task in tasks_of(dump):
        for command in task["commands"]:
            assert command[0] in ROOMS, name
            # What refreshes the served snapshot takes the cut that serves.
            assert command == ["models", "refresh"] or command[-2:] == ["--cut", "{cut}"], name


def test_training_goes_on_from_what_serves_unless_asked(dump: dict[str, Any]) -> None:
    options = {name: task["options"] for name, task in tasks_of(dump) if task["options"]}
    assert options == {"train.train": ["--start", "weekly"]}


def test_outlets_are_declared_tables(dump: dict[str, Any]) -> None:
    for name, task in tasks_of(dump):
        assert set(task["outlets"]) <= set(TABLES), name


def test_daily_is_one_chain_in_order(dump: dict[str, Any]) -> None:
    tasks = dump["dags"]["daily"]["tasks"]
    order = ["ingest", "features", "embed", "publish", "export"]
    assert list(tasks) == order
    # Each task has exactly the next one after it; the last has none.
    assert [tasks[name]["downstream"] for name in order] == [[name] for name in order[1:]] + [[]]


def test_a_backfill_makes_one_run_for_each_date(dump: dict[str, Any]) -> None:
    # Runs stand at 02:00 of the partition's date, so 08-30 00:00 to 09-02 00:00 holds three of them.
    assert dump["dags"]["daily"]["partitions"] == ["2011-08-30", "2011-08-31", "2011-09-01"]


def test_dags_import_neither_engines_nor_rooms_nor_each_other() -> None:
    wiring = {"daily", "items", "train"}
    for path in DAGS.glob("*.py"):
        for module in imported(path):
            first, _, rest = module.partition(".")
            allowed = first in {"airflow", "contracts", "dags"} or first in sys.stdlib_module_names
            assert allowed, f"{path.name} imports {module}"
            assert not (first == "dags" and rest in wiring), f"{path.name} imports the DAG {module}"
            assert first != "airflow" or module.startswith("airflow.sdk"), f"{path.name} imports {module}"


def imported(path: Path) -> list[str]:
    """Every module that the file imports, at any depth."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return plain + [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
