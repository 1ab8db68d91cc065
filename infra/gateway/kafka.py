"""The gateway's Kafka clients: an idempotent producer, a consumer that commits what the loop says is stored."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from contracts.settings import TOPICS

GROUP = "braid-gateway"
MAX_REJECTION_BYTES = 3 * 1024 * 1024
"""A raw record of Kafka's default 1 MiB, in base64, with its violations."""


def consumer(bootstrap: str, instance: int, uncommitted: Callable[[str], None]) -> Consumer:
    """A static member of the gateway's group: after a crash the same instance has its partitions back at once.

    Args:
        uncommitted: is told why a commit failed.
    """

    def committed(error: KafkaError | None, _: object) -> None:
        if error is not None:
            uncommitted(error.name())

    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": GROUP,
            "group.instance.id": f"{GROUP}-{instance}",
            "client.id": f"{GROUP}-{instance}",
            # A commit is a record that the broker writes: five a second, not one a batch.
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 200,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            # So long its end waits at most for a broker that is away.
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1500,
            "queued.max.messages.kbytes": 32 * 1024,
            "on_commit": committed,
        }
    )


def producer(bootstrap: str) -> Producer:
    """Retries for ever and keeps the order; Kafka drops what a retry repeats."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": GROUP,
            "enable.idempotence": True,
            "linger.ms": 2,
            "compression.type": "lz4",
            "message.max.bytes": MAX_REJECTION_BYTES,
            "message.timeout.ms": 0,
        }
    )


def admit_large_rejections(bootstrap: str) -> None:
    """Let `rejected_events` hold a record as large as `events_raw` may hold, in base64."""
    size = ConfigEntry(
        "max.message.bytes", str(MAX_REJECTION_BYTES), incremental_operation=AlterConfigOpType.SET
    )
    topic = ConfigResource(ResourceType.TOPIC, TOPICS.rejected_events, incremental_configs=[size])
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for changed in admin.incremental_alter_configs([topic]).values():
        changed.result(timeout=30)
