"""# train: a new model from the newest cut

**training-set** (Feast's point-in-time join of the label rows) → **train** (two-tower, item-kNN and popularity on one
time split; MLflow holds the run). The gate holds the two-tower against what serves, both baselines, and cheap methods that are measured
alone (iALS, EASE, session kNN, repurchase); of what passes the best becomes `champion`, a baseline included, and the next `daily` run embeds and publishes it. Where nothing passes, what serves stays. Due every
day at 06:00 UTC, after the daily run, for yesterday's cut: on Mondays from nothing, else a warm start from the towers that serve,
once over the last four weeks.

## When a task fails

A task is tried three times; a failed gate, or a command that does not know its arguments, only once. The end of the
task's log names the cause. The alias moves last, so after a failed run the shop is served as before.

- **training-set**: a table is missing → run `daily` (or the backfill) for the cut, clear the task. Out of memory →
  more executors, clear the task.
- **train**: examples that hold what they are to tell (exit code 3) → that is a fault of the point-in-time join: find it, then clear both. MLflow's store
  away → start it, clear the task. The two-tower was refused (alias `challenger`; `var/reports/train.json` and its
  card say why) → that is no failure. The new champion is worse in the shop → pause
  this DAG (tomorrow's run would judge anew), `python -m models rollback`, and run `daily` for the newest cut.
  The champion has learned from this cut's validation days → train a later cut, or promote an older version first.

## A refused day

A refused day is missing in gold, so its training fails as well and yesterday's towers go on serving. The next day's training has it, once it
was rerun, or leaves it out.

## Rerun and backfill

- Now, on the newest cut: `airflow dags trigger train`
- From nothing, whatever the day: `airflow dags trigger train --conf '{"start": "full"}'` (after a change of the towers' shape, too)
- On a cut of your choice: `python -m infra.airflow train --cut 2011-08-29`, or
  `airflow dags trigger train --conf '{"cut": "2011-08-29"}'`
- Training the same cut twice gives two runs in MLflow; the second is held against the first.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from airflow.sdk import CronTriggerTimetable, Param, chain, dag

from dags.cuts import training_cut
from dags.defaults import DAG_DEFAULTS, table_assets
from dags.steps import CUT, RoomStep


def asked_cut(context: Any) -> date:
    """The cut that a run of `train` is for."""
    return training_cut(context["params"]["cut"], context["dag_run"].run_after)


def asked_start(context: Any) -> list[str]:
    """What the towers of a run of `train` go on from."""
    return ["--start", context["params"]["start"]]


@dag(
    dag_id="train",
    schedule=CronTriggerTimetable("0 6 * * *", timezone="UTC"),
    params={
        "cut": Param(None, type=["null", "string"], description="The cut to train on, as 2011-08-29"),
        "start": Param("weekly", enum=["weekly", "full", "warm"], description="What the towers go on from"),
    },
    doc_md=__doc__,
    tags=["batch", "models"],
    **DAG_DEFAULTS,
)
def train() -> None:
    """Wire the two steps in order."""
    training_set = RoomStep(
        task_id="training-set",
        cut_from=asked_cut,
        commands=[["feature_repo", "training-set", "--cut", CUT]],
        outlets=table_assets("gold_training_examples"),
    )
    fit = RoomStep(
        task_id="train",
        cut_from=asked_cut,
        commands=[["models", "train", "--cut", CUT]],
        options_from=asked_start,
    )
    chain(training_set, fit)


train()
