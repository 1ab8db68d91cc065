"""`python -m infra.bench.stream.peer TOPIC FEAST_PROJECT`: the same features as a PyFlink user would write them.

A keyed process function with state computes session, shopper and consent (by `contracts.accumulators`, the plain Python
reference), and what it emits goes through stock Feast's Redis store in batches. It reads the topic to its end. Each user of the bench has one device, so that one key is enough.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.kafka import KafkaOffsetsInitializer, KafkaSource
from pyflink.datastream.functions import KeyedProcessFunction, MapFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from contracts.accumulators import accumulator_of, counts
from contracts.consent import state_of
from contracts.events import consent_keys, shopper_id
from contracts.features import CONSENT, SESSION, SHOPPER, View
from contracts.settings import ROOT, Settings, from_environment

BATCH = 500
BATCH_SECONDS = 0.1
VIEWS = {view.name: view for view in (SESSION, SHOPPER, CONSENT)}
Emitted = tuple[str, dict[str, str], int, int, list[Any]]
"""View, join keys, newest event time, events seen, values in the order of the features."""


class Features(KeyedProcessFunction):  # type: ignore[misc] # PyFlink is untyped
    """Of one visitor: the event ids seen, and the accumulators of each view."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self._state = runtime_context.get_state(ValueStateDescriptor("visitor", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: dict[str, Any], ctx: KeyedProcessFunction.Context) -> Iterator[Emitted]:
        held = self._state.value() or {"ids": set()}
        if value["event_id"] in held["ids"]:
            return
        held["ids"].add(value["event_id"])
        event = {**value, "consent_state": state_of(value)}
        session = {"visitor_id": event["visitor_id"], "session_id": event["session_id"]}
        yield _added(held, SESSION, event, session)
        yield _added(held, SHOPPER, event, {"shopper_id": shopper_id(event)})
        for key in consent_keys(event):
            yield _added(held, CONSENT, event, {"shopper_id": key})
        self._state.update(held)


def _added(held: dict[Any, Any], view: View, event: dict[str, Any], key: dict[str, str]) -> Emitted:
    place = (view.name, *key.values())
    if place not in held:
        held[place] = [0, 0, [accumulator_of(feature) for feature in view.features]]
    row = held[place]
    row[0], row[1] = max(row[0], event["event_time"]), row[1] + 1
    for feature, accumulator in zip(view.features, row[2], strict=True):
        accumulator.add(event, counts(feature, event, None))
    return view.name, key, row[0], row[1], [accumulator.value() for accumulator in row[2]]


class StockFeast(MapFunction):  # type: ignore[misc]
    """Writes what arrives through Feast's own Redis store, a batch at a time."""

    def __init__(self, project: str) -> None:
        self._project = project

    def open(self, runtime_context: RuntimeContext) -> None:
        from infra.bench.stream.stock import StockStore

        self._store = StockStore(from_environment(), self._project)
        self._rows: dict[str, list[Emitted]] = defaultdict(list)
        self._count, self._began = 0, time.monotonic()

    def map(self, value: Emitted) -> int:
        self._rows[value[0]].append(value)
        self._count += 1
        if self._count >= BATCH or time.monotonic() - self._began > BATCH_SECONDS:
            self._flush()
        return 0

    def close(self) -> None:
        self._flush()

    def _flush(self) -> None:
        for view, rows in self._rows.items():
            self._store.write(VIEWS[view], rows)
        self._rows.clear()
        self._count, self._began = 0, time.monotonic()


def main() -> None:
    topic, project = sys.argv[1:]
    settings = from_environment()
    environment = StreamExecutionEnvironment.get_execution_environment(_configuration(settings))
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(settings.kafka_bootstrap)
        .set_topics(topic)
        .set_group_id(project)
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    events = environment.from_source(source, WatermarkStrategy.no_watermarks(), "events")
    parsed = events.map(json.loads, Types.PICKLED_BYTE_ARRAY())
    rows = parsed.key_by(lambda event: event["visitor_id"], Types.STRING()).process(
        Features(), Types.PICKLED_BYTE_ARRAY()
    )
    rows.map(StockFeast(project), Types.INT()).filter(lambda n: n > 0).print()
    environment.execute("peer")


def _configuration(settings: Settings) -> Configuration:
    configuration = Configuration()
    jars = ";".join(jar.as_uri() for jar in (ROOT / "jars" / "flink").glob("flink-sql-connector-kafka-*.jar"))
    configuration.set_string("pipeline.jars", jars)
    configuration.set_string("parallelism.default", str(settings.stream_parallelism))
    configuration.set_string("python.executable", sys.executable)
    configuration.set_string("python.client.executable", sys.executable)
    configuration.set_string("taskmanager.memory.managed.size", "256m")
    # Bundles of the same time as the batches: by default an event may wait a second.
    configuration.set_string("python.fn-execution.bundle.time", "100")
    return configuration


if __name__ == "__main__":
    main()
