"""# items: the catalog's changes, within the hour

**refresh** puts what the catalog says by now over the served snapshot: a new item gets its vector from its title and price, a changed one
another, without waiting for tomorrow's cut. Popularity, neighbours and model stay those of the cut. Due every hour at half past.

## When a task fails

A task is tried three times; a command that does not know its arguments, only once. The end of the task's log names the cause, and what
serves stays.

- **refresh**: Kafka away → start it; the next hour does it as well. Prices moved too far at once → the source sent them wrong: have it send
  the updates again, right, with the same `effective_time`. Nothing serves yet → run `daily` first.

## A refused day

Updates of a refused day are in the topic all the same, and are judged here on their own: a fifth of the changed prices beyond the
gate's factor refuse the refresh, every hour, until right ones are sent.

## Rerun and backfill

- Now: `airflow dags trigger items`, or `python -m models refresh`. There is nothing to backfill: the topic holds the newest state of each item.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from airflow.sdk import CronTriggerTimetable, dag

from dags.cuts import training_cut
from dags.defaults import DAG_DEFAULTS
from dags.steps import RoomStep


def yesterday(context: Any) -> date:
    """The newest cut; the command itself refreshes the one that serves."""
    return training_cut(None, context["dag_run"].run_after)


@dag(
    dag_id="items",
    schedule=CronTriggerTimetable("30 * * * *", timezone="UTC"),
    doc_md=__doc__,
    tags=["batch", "models"],
    **DAG_DEFAULTS,
)
def items() -> None:
    """One step."""
    RoomStep(task_id="refresh", cut_from=yesterday, commands=[["models", "refresh"]])


items()
