"""Repaired records back to `events_raw`, each with where it came from; a ledger keeps what Kafka confirmed.

The event_id stays, so a record that is sent twice counts once. What still fails at the door becomes a dead letter again,
with its own place. While Kafka is away nothing is lost: the file stays, and the next try sends what was not confirmed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import msgspec
from confluent_kafka import KafkaError, Message, Producer

from contracts.clock import to_rfc3339
from contracts.settings import TOPICS, Settings
from infra.deadletters.letters import DeadLetterError
from infra.deadletters.repair import Repaired

ORIGIN_HEADER = "braid-repaired-from"
FLUSH_SECONDS = 30.0


@dataclass(slots=True)
class Sent:
    """What came of sending a file: confirmed by Kafka now, and left out because an earlier try had sent it."""

    confirmed: int = 0
    known: int = 0
    failed: list[str] = field(default_factory=list)


def ledger_file(settings: Settings) -> Path:
    """Every record that was sent again: `origin`, `event_id`, where it lies now, and when."""
    return settings.var / "deadletters" / "reinjected.jsonl"


def sent_before(settings: Settings) -> dict[str, str]:
    """Origin → the place in `events_raw` it was sent to last."""
    path = ledger_file(settings)
    lines = path.read_text().splitlines() if path.is_file() else []
    return {line["origin"]: line["place"] for line in map(json.loads, lines)}


def read_repairs(path: Path) -> list[Repaired]:
    """The records of a repair file.

    Raises:
        DeadLetterError: a line is not in its form; names the line.
    """
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found.append(msgspec.json.decode(line, type=Repaired))
        except msgspec.DecodeError as error:
            raise DeadLetterError(f"{path}:{number}: {error}") from error
    return found


def write_repairs(path: Path, repairs: Sequence[Repaired]) -> None:
    """Write a repair file: a JSON line a record, to be looked at and, where needed, edited."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in repairs))


def reinject(
    settings: Settings,
    repairs: Sequence[Repaired],
    at: datetime,
    *,
    again: bool = False,
    wait: float = FLUSH_SECONDS,
) -> Sent:
    """Send the records that no earlier try has sent (`again`: all) and wait until Kafka confirmed them.

    Args:
        wait: seconds until what Kafka did not confirm is given up for this time.
    """
    done, sent = ({} if again else sent_before(settings)), Sent()
    options = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "enable.idempotence": True,
        "message.timeout.ms": int(wait * 1000),
    }
    producer = Producer(options)
    ledger = ledger_file(settings)
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a") as lines:

        def delivered(one: Repaired, error: KafkaError | None, message: Message) -> None:
            if error is not None:
                sent.failed.append(error.str())
                return
            place = f"{message.topic()}/{message.partition()}/{message.offset()}"
            line = {"origin": one.origin, "event_id": one.event_id, "place": place, "at": to_rfc3339(at)}
            lines.write(json.dumps(line) + "\n")
            sent.confirmed += 1

        for one in repairs:
            if one.origin in done:
                sent.known += 1
                continue
            _produce(producer, one, partial(delivered, one))
        producer.flush(wait + 5)
    return sent


def _produce(
    producer: Producer, one: Repaired, delivered: Callable[[KafkaError | None, Message], None]
) -> None:
    """Hand the record to the producer; where its queue is full, wait until Kafka took something or it was given up."""
    while True:
        try:
            producer.produce(
                TOPICS.events_raw,
                msgspec.json.encode(one.record),
                str(one.record.get("visitor_id")),
                headers=[(ORIGIN_HEADER, one.origin.encode())],
                on_delivery=delivered,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return
