"""The job bronze: Kafka (Structured Streaming, `availableNow`) or day files → bronze_events, _catalog, _rejected.

Bronze keeps records as they came. From Kafka one stream reads the three topics from where its checkpoint ends to what
is available now; a batch that is written twice commits once (txnAppId is the stream's own id). Day files of a range
are read in one go and replace what the same days of the same source wrote before.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from pyspark import StorageLevel
from pyspark.sql import DataFrame

from contracts.errors import SourceError
from contracts.settings import TOPICS, Settings
from contracts.tables import table_named
from spark_jobs import bronze_rows as rows
from spark_jobs import delta
from spark_jobs.run import DAY_FILES, KAFKA, Run

MAX_RECORDS = 200_000
"""Of one batch of the stream, so that a long absence fits into memory."""


def run_bronze(run: Run) -> None:
    """Read the run's source.

    Raises:
        SourceError: the source is not known, or a day's file is missing.
    """
    if run.source == KAFKA:
        _read_topics(run)
    elif run.source.startswith(DAY_FILES):
        _read_days(run)
    else:
        raise SourceError(f"--source {run.source!r}: give {KAFKA!r} or '{DAY_FILES}<name>'")


def stream_once(run: Run, name: str, topics: tuple[str, ...], write) -> None:  # type: ignore[no-untyped-def]
    """Hand what is available of `topics` to `write(batch, app, version)`, from where the checkpoint `name` ends."""
    checkpoint = run.settings.lake / "_checkpoints" / name

    def each(batch: DataFrame, version: int) -> None:
        batch.persist(StorageLevel.MEMORY_AND_DISK)
        write(batch, f"{name}:{_stream_id(checkpoint)}", version)
        batch.unpersist()

    options = {
        "kafka.bootstrap.servers": run.settings.kafka_bootstrap,
        "subscribe": ",".join(topics),
        "startingOffsets": "earliest",
        "maxOffsetsPerTrigger": str(MAX_RECORDS),
    }
    stream = run.spark.readStream.format("kafka").options(**options).load().writeStream.foreachBatch(each)
    query = stream.option("checkpointLocation", str(checkpoint)).trigger(availableNow=True).start()
    query.awaitTermination()


def _stream_id(checkpoint: Path) -> str:
    """The stream's own id: a checkpoint made anew is another stream, whose batches begin at 0."""
    found: str = json.loads((checkpoint / "metadata").read_text())["id"]
    return found


def _read_topics(run: Run) -> None:
    settings = run.settings

    def write(batch: DataFrame, app: str, version: int) -> None:
        events = rows.parse_events(rows.from_kafka(batch, TOPICS.events))
        catalog = rows.parse_catalog(rows.from_kafka(batch, TOPICS.catalog))
        refused = rows.from_kafka(batch, TOPICS.rejected_events)
        for table, frame in _tables(events, catalog, refused, settings).items():
            declared = table_named(table)
            delta.append_once(frame, declared.path(settings), declared.partition, app, version)
            run.rows[table] = run.rows.get(table, 0) + delta.written(declared.path(settings))

    stream_once(run, "bronze", (TOPICS.events, TOPICS.catalog, TOPICS.rejected_events), write)


def _read_days(run: Run) -> None:
    name = run.source.removeprefix(DAY_FILES)
    events = rows.parse_events(_lines(run, name, "events"))
    catalog = rows.parse_catalog(_lines(run, name, "catalog"))
    first, last = (int(f"{on:%Y%m%d}") for on in (run.first, run.cut))
    sources = ", ".join(f"'{run.source}{kind}'" for kind in ("", "/events", "/catalog"))
    where = f"source IN ({sources}) AND source_partition >= {first} AND source_partition <= {last}"
    for table, frame in _tables(events, catalog, _lines(run, name, "rejected"), run.settings).items():
        run.replace(table, frame, where)


def _tables(
    events: DataFrame, catalog: DataFrame, refused: DataFrame, settings: Settings
) -> dict[str, DataFrame]:
    late = settings.late_horizon
    own = rows.refused_events(events, late).unionByName(rows.refused_catalog(catalog))
    return {
        "bronze_events": rows.event_rows(events, late),
        "bronze_catalog": rows.catalog_rows(catalog),
        "bronze_rejected": rows.rejected_rows(refused).unionByName(own),
    }


def _lines(run: Run, name: str, kind: str) -> DataFrame:
    paths = [_day_file(run.settings, name, kind, on) for on in run.days]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise SourceError(f"{missing[0]} is missing: python -m infra.adapt {name} writes it")
    lines = run.spark.read.text([str(path) for path in paths])
    return rows.from_day_files(lines, run.source)


def _day_file(settings: Settings, name: str, kind: str, on: date) -> Path:
    return settings.days / name / kind / f"{on}.jsonl.gz"
