"""Run by `.venv-airflow`: loads the DAG folder as Airflow does and prints what the policy looks at, as JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

FOLDER = Path(__file__).resolve().parents[2] / "dags"
WINDOW = (datetime(2011, 8, 30, tzinfo=UTC), datetime(2011, 9, 2, tzinfo=UTC))


def task(task) -> dict:
    return {
        "owner": task.owner,
        "retries": task.retries,
        "timeout_seconds": task.execution_timeout.total_seconds() if task.execution_timeout else None,
        "downstream": sorted(task.downstream_task_ids),
        "depends_on_past": task.depends_on_past,
        "alarms": [call.__name__ for call in task.on_failure_callback],
        "commands": task.commands,
        "options": list(task.options_from({"params": task.dag.params.dump()})),
        "outlets": [asset.name for asset in task.outlets],
    }


def partitions(dag) -> list[str]:
    """The partition keys that a backfill of `WINDOW` makes, through the serialized form the scheduler reads."""
    from airflow.serialization.serialized_objects import DagSerialization

    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    if not timetable.partitioned:
        return []
    first, last = WINDOW
    return [run.partition_key for run in timetable.iter_partition_dagrun_infos(earliest=first, latest=last)]


def dag(dag) -> dict:
    return {
        "doc_md": dag.doc_md,
        "tags": sorted(dag.tags),
        "file": Path(dag.fileloc).name,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "timeout_seconds": dag.dagrun_timeout.total_seconds() if dag.dagrun_timeout else None,
        "partitions": partitions(dag),
        "tasks": {one.task_id: task(one) for one in dag.topological_sort()},
    }


bag = DagBag(dag_folder=str(FOLDER), load_op_links=False)
found = {"errors": dict(bag.import_errors), "dags": {name: dag(one) for name, one in bag.dags.items()}}
sys.stdout.write("\nDUMP " + json.dumps(found) + "\n")
