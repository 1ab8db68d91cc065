"""`python -m infra.publish SOURCE --on D`: one day of a source into Kafka, as the shop itself would send it.

Wire events go to `events_raw`, keyed by visitor; checked catalog updates to `catalog`, keyed by item. Sending a
day twice is harmless: events are deduplicated by their id, catalog updates replace each other.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from contracts.adapters.wire import Record, WireDay
from contracts.catalog import read_catalog
from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import TOPICS, Settings, from_environment
from infra.simulator.parameters import ShopParameters, add_arguments
from infra.sources import SOURCES, source_named

log = RoomLog("infra")

FLUSH_SECONDS = 60


class PublishError(BraidError):
    """Kafka did not take what was sent."""


@dataclass(frozen=True, slots=True)
class Published:
    """What one day put into Kafka; `refused` are the source's lines that are no events, by reason."""

    events: int
    catalog: int
    refused: dict[str, int]


class Sender:
    """Sends records and counts what Kafka confirmed."""

    def __init__(self, settings: Settings, linger_ms: int = 5) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": settings.kafka_bootstrap,
                "enable.idempotence": True,
                "linger.ms": linger_ms,
                "compression.type": "lz4",
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._sent = 0
        self._confirmed = 0
        self._error: KafkaError | None = None

    def send(self, event: Record) -> None:
        """Send one wire event to `events_raw`."""
        self.send_raw(TOPICS.events_raw, event["visitor_id"], msgspec.json.encode(event))

    def send_raw(self, topic: str, key: str, value: bytes) -> None:
        """Send one encoded record; waits where the queue is full."""
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._sent += 1
        self._producer.poll(0)

    def flush(self) -> int:
        """Wait until Kafka confirmed everything; returns how many records it has taken so far.

        Raises:
            PublishError: something was not confirmed.
        """
        self._producer.flush(FLUSH_SECONDS)
        if self._confirmed != self._sent:
            raise PublishError(f"Kafka confirmed {self._confirmed} of {self._sent} records: {self._error}")
        return self._confirmed

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is None:
            self._confirmed += 1
        else:
            self._error = error


def read_day_wire(
    settings: Settings, source: str, on: date, shop: ShopParameters | None = None
) -> list[dict[str, Any]]:
    """The wire events of one day of a source, in the order of their times."""
    return source_named(settings, source, shop).read_day(on).events


def publish_day(
    settings: Settings,
    source: str,
    on: date,
    price_factor: int = 1,
    *,
    speed: float | None = None,
    shop: ShopParameters | None = None,
) -> Published:
    """Send one day of a source to Kafka and wait until all of it is confirmed.

    Args:
        price_factor: multiplies every price: a planted fault.
        speed: events keep the gaps of their times, so many times as fast; None is as fast as Kafka takes them.

    Raises:
        SourceError: the source has no such day.
        PublishError: Kafka did not confirm everything.
    """
    day = with_prices(source_named(settings, source, shop).read_day(on), price_factor)
    sender = Sender(settings)
    updates = [verdict.event for verdict in map(read_catalog, day.catalog) if verdict.event is not None]
    for update in updates:
        sender.send_raw(TOPICS.catalog, update["item_id"], msgspec.json.encode(update))
    for event in paced(day.events, speed):
        sender.send(event)
    sender.flush()
    return Published(len(day.events), len(updates), dict(Counter(line.reason for line in day.refused)))


def with_prices(day: WireDay, factor: int) -> WireDay:
    """The same day with every price of items and catalog `factor` times as high."""
    if factor == 1:
        return day
    events = [{**e, "items": [_priced(i, factor) for i in e.get("items") or []]} for e in day.events]
    return WireDay(events, [_priced(update, factor) for update in day.catalog], day.refused)


def _priced(record: Record, factor: int) -> Record:
    price = record.get("price")
    return record if price is None else {**record, "price": str(Decimal(price) * factor)}


def paced(events: Sequence[Record], speed: float | None) -> Iterator[Record]:
    """The events, each when its time has come at `speed` times the real pace."""
    started = time.monotonic()
    for event in events:
        if speed is not None:
            gap = _moment(event) - _moment(events[0])
            time.sleep(max(0.0, started + gap.total_seconds() / speed - time.monotonic()))
        yield event


def _moment(event: Record) -> datetime:
    return datetime.fromisoformat(event["event_time"])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when the day cannot be read or sent."""
    parser = argparse.ArgumentParser(prog="infra.publish", description=__doc__)
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("--on", type=date.fromisoformat, required=True, metavar="DATE")
    parser.add_argument("--price-factor", type=int, default=1, help="multiply every price: a planted fault")
    parser.add_argument("--speed", type=float, help="keep the gaps between events, so many times as fast")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        published = publish_day(
            from_environment(),
            options.source,
            options.on,
            options.price_factor,
            speed=options.speed,
            shop=ShopParameters.of(options),
        )
    except BraidError as error:
        log("publish_failed", source=options.source, on=options.on, error=str(error))
        return 1
    log("published", source=options.source, on=options.on, **asdict(published))
    return 0


if __name__ == "__main__":
    sys.exit(main())
