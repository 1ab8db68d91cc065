"""# daily: one cut, from Kafka to the shop

One run makes one day's cut (its partition key, `2011-08-30`) and puts it online:
**ingest** (Spark: Kafka → bronze → silver) → **features** (gold) → **embed** (item vectors and the
snapshot of the champion, staged; Spark: user vectors) →
**publish** (user views into Redis, the snapshot for the scorer) → **export** (lists for e-mail and CRM).
It is due at the cut's end + publish_delay (02:00 UTC). Every task replaces what it wrote for the cut before,
so a task may always be cleared and run again. Consent counts as of the cut's publication.

## When a task fails

A task is tried three times; a failed gate, or a command that does not know its arguments, only once. The end of the
task's log names the cause. Nothing after a failed task runs, so the last published day stays online.

- **ingest**: Kafka away → start it, clear the task. Gate failed → see *A refused day*.
- **features**: gate failed → see *A refused day*. Out of memory → more executors, clear the task.
- **embed**: no champion → run `train` once, clear the task.
- **publish**: Redis or the store away → start it, clear the task; rows carry versions, writing twice is harmless.
- **export**: the shop is already served; clear the task. Unfinished lists have no manifest: do not send them.

## A refused day

Exit code 3: a gate found the day's data unfit (prices × 100, too many rejections). Data Docs name the rule and the
count, and `var/alarms.jsonl` has the alarm (posted to `BRAID_ALARM_WEBHOOK` where that is set). The scorer keeps
yesterday's snapshot. Either the source is wrong: have it send the catalog updates again, right, with the same
`effective_time` (the last one sent counts), then rerun the day. An event cannot be sent again: the first of its
`event_id` counts, and one received later belongs to a later cut; what the door refused can be repaired
(`python -m infra.deadletters`). Or the rule is wrong for this day: change the rule by a commit, then rerun.
A refused day does not hold up the next one (no task depends on the run before). Refused by **ingest** it stays in
bronze, and later cuts' windows lack it until it is rerun; then rerun the cuts after it, oldest first. Refused by
**features** it is in silver, and only its own cut is missing in gold (what a refused run wrote there is taken back).

## Rerun and backfill

- One day: `python -m infra.airflow daily --cut 2011-08-30`, or in the page's *Trigger* form the partition key
  `2011-08-30`.
- A range: `airflow backfill create --dag-id daily --from-date 2011-08-30 --to-date 2011-09-02 --max-active-runs 1
  --reprocess-behavior completed` makes the cuts 08-30, 08-31 and 09-01 in turn: runs stand at 02:00, so give the day
  after the last cut as the end.
- End with the newest cut, for the last run decides which snapshot is online.
- Months of history: `python -m spark_jobs --jobs bronze,silver,gold --source kafka --from F --cut T`, one Spark
  application, gives the same tables. One refused cut refuses the range: silver then writes none of it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from airflow.sdk import CronPartitionTimetable, chain, dag

from contracts.cuts import Cut
from dags.cuts import KEY_FORMAT, cut_of
from dags.defaults import DAG_DEFAULTS, table_assets
from dags.steps import CUT, RoomStep

DUE_HOUR = Cut(date.min).publish_delay // timedelta(hours=1)


def this_cut(context: Any) -> date:
    """The cut that a run of `daily` is for."""
    return cut_of(context.get("partition_key"), context.get("logical_date"))


@dag(
    dag_id="daily",
    schedule=CronPartitionTimetable(
        f"0 {DUE_HOUR} * * *", timezone="UTC", run_offset=-1, key_format=KEY_FORMAT
    ),
    doc_md=__doc__,
    tags=["batch", "daily"],
    **DAG_DEFAULTS,
)
def daily() -> None:
    """Wire the five steps in order."""
    ingest = RoomStep(
        task_id="ingest",
        cut_from=this_cut,
        commands=[["spark_jobs", "--jobs", "bronze,silver", "--source", "kafka", "--cut", CUT]],
        outlets=table_assets("bronze_events", "bronze_catalog", "silver_events", "silver_catalog"),
    )
    features = RoomStep(
        task_id="features",
        cut_from=this_cut,
        commands=[["spark_jobs", "--jobs", "gold", "--cut", CUT]],
        outlets=table_assets("gold_user_features", "gold_item_features", "gold_consent", "gold_label_rows"),
    )
    embed = RoomStep(
        task_id="embed",
        cut_from=this_cut,
        commands=[
            ["models", "embed", "--cut", CUT],
            ["spark_jobs", "--jobs", "user_vectors", "--cut", CUT],
        ],
        outlets=table_assets("gold_item_embeddings", "gold_user_embeddings"),
    )
    publish = RoomStep(
        task_id="publish",
        cut_from=this_cut,
        commands=[["feature_repo", "materialize", "--cut", CUT], ["models", "publish", "--cut", CUT]],
    )
    export = RoomStep(
        task_id="export",
        cut_from=this_cut,
        commands=[["spark_jobs", "--jobs", "lists", "--cut", CUT]],
        outlets=table_assets("gold_recommendations"),
    )
    chain(ingest, features, embed, publish, export)


daily()
