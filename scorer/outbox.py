"""Sends records to Kafka without making a request wait: a bounded local queue, delivered in the background.

A key's partition is librdkafka's `consistent_random`, as the gateway's: a visitor's events stay in one order, but for those that are
sent again because Kafka's answer could not be read.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

LOG = logging.getLogger("scorer.outbox")
POLL_SECONDS = 0.1
AGAIN = 3
"""So often is sent again what Kafka answered unreadably: librdkafka, which repeats what passes, gives it up."""
UNREAD = (KafkaError._BAD_MSG, KafkaError._UNDERFLOW)

Delivered = Callable[[KafkaError | None], None]


@dataclass(frozen=True, slots=True)
class Record:
    """One record to produce."""

    topic: str
    key: str
    value: bytes


class Outbox:
    """One producer and the thread that serves its callbacks."""

    def __init__(self, bootstrap: str, queue_records: int, delivery_seconds: float) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "queue.buffering.max.messages": queue_records,
                "message.timeout.ms": int(delivery_seconds * 1000),
                "socket.timeout.ms": 10_000,
                "reconnect.backoff.max.ms": 1000,
                "logger": logging.getLogger("scorer.kafka"),
            }
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="outbox", daemon=True)
        self._thread.start()

    def send(self, record: Record, delivered: Delivered) -> bool:
        """Queue a record; False when the queue is full. `delivered` runs in the outbox's thread.

        A record may come to lie more than once, where the answers to it could not be read.
        """
        return self._send(record, delivered, AGAIN)

    def _send(self, record: Record, delivered: Delivered, again: int) -> bool:
        def report(error: KafkaError | None, _: Message) -> None:
            unread = error is not None and error.code() in UNREAD
            if not (unread and again and self._send(record, delivered, again - 1)):
                delivered(error)

        try:
            self._producer.produce(
                record.topic, value=record.value, key=record.key.encode(), on_delivery=report
            )
        except (BufferError, KafkaException) as error:
            LOG.warning("not queued", extra={"topic": record.topic, "cause": str(error)})
            return False
        return True

    async def deliver(self, records: Sequence[Record]) -> str | None:
        """Send all and wait for Kafka's word on each; the first failure's cause, None when all arrived."""
        done = _Countdown(len(records))
        for record in records:
            if not self.send(record, done.count):
                done.fail("the queue is full")
        return await done.result

    def reach(self, timeout_seconds: float) -> str | None:
        """Why Kafka cannot be reached; None when it can. Blocks."""
        try:
            self._producer.list_topics(timeout=timeout_seconds)
        except KafkaException as error:
            return str(error.args[0].str())
        return None

    def close(self, timeout_seconds: float) -> None:
        """Deliver what is queued, for a bounded time, and stop."""
        left = self._producer.flush(timeout_seconds)
        if left:
            LOG.error("records were not delivered", extra={"records": left})
        self._stopped.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(POLL_SECONDS)


class _Countdown:
    """A future of the running loop that is done when every record has been reported on."""

    def __init__(self, records: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = records
        self._cause: str | None = None
        self.result: asyncio.Future[str | None] = self._loop.create_future()
        if not records:
            self.result.set_result(None)

    def count(self, error: KafkaError | None) -> None:
        """One record's end, told from the outbox's thread."""
        cause = None if error is None else str(error.str())
        self._loop.call_soon_threadsafe(self.fail, cause)

    def fail(self, cause: str | None) -> None:
        """One record's end, told in the loop."""
        self._cause = self._cause or cause
        self._left -= 1
        if self._left == 0 and not self.result.done():
            self.result.set_result(self._cause)
