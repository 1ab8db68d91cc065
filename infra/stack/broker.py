"""The Kafka broker: one KRaft node on loopback, from Maven's jars, with the project's topics."""

from __future__ import annotations

import shlex
import uuid
from base64 import urlsafe_b64encode
from dataclasses import asdict
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.settings import TOPICS, Settings
from infra.stack.java import java_binary
from infra.stack.unit import Unit

FOREVER = "-1"
ANY_TIMESTAMP = "9223372036854775807"  # a replay's events carry other days than today's
# Kafka compacts closed segments alone, once as much is new as is compacted: a lost store is filled from so much more than
# its rows. A topic keeps the size that it was made with.
COMPACTED_SEGMENT_BYTES = 16 * 1024 * 1024
LOG4J = Path(__file__).with_name("log4j2.properties")


def broker_unit(settings: Settings, root: Path) -> Unit:
    """The broker; it is healthy once every topic of `contracts.settings.TOPICS` exists."""
    return Unit(
        name="kafka",
        command=("/bin/sh", "-c", _command(settings, root)),
        healthy=TopicsExist(settings),
        ports=("kafka", "kafka_controller"),
        needs=(root / "jars" / "kafka",),
        prepare=lambda: _write_config(settings),
    )


def _command(settings: Settings, root: Path) -> str:
    """Format the storage at the first start, then become the broker."""
    java = shlex.join(
        [
            java_binary(),
            "-Xms64m",
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-Dbraid.log.level=WARN",
            f"-Dlog4j2.configurationFile={LOG4J}",
            "-cp",
            f"{root}/jars/kafka/*",
        ]
    )
    config = shlex.quote(str(_config_file(settings)))
    formatted = shlex.quote(str(settings.var / "kafka" / "meta.properties"))
    cluster = urlsafe_b64encode(uuid.uuid5(uuid.NAMESPACE_URL, "braid").bytes).decode().rstrip("=")
    return (
        f"test -e {formatted} || {java} kafka.tools.StorageTool format -t {cluster} -c {config}"
        f" && exec {java} kafka.Kafka {config}"
    )


def _config_file(settings: Settings) -> Path:
    return settings.run / "kafka.properties"


def _write_config(settings: Settings) -> None:
    settings.run.mkdir(parents=True, exist_ok=True)
    lines = (f"{key}={value}" for key, value in broker_config(settings).items())
    _config_file(settings).write_text("\n".join(lines) + "\n")


def broker_config(settings: Settings) -> dict[str, str]:
    """`server.properties`: everything on loopback, nothing expires, one replica."""
    here = f"PLAINTEXT://{settings.host}:{settings.port('kafka')}"
    controller = f"{settings.host}:{settings.port('kafka_controller')}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{controller}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"{here},CONTROLLER://{controller}",
        # What stands between it and its clients (`make chaos`) has an address of its own.
        "advertised.listeners": f"PLAINTEXT://{settings.kafka_bootstrap}",
        "log.dirs": str(settings.var / "kafka"),
        "num.partitions": str(settings.kafka_partitions),
        "auto.create.topics.enable": "false",
        "log.retention.ms": FOREVER,
        "log.message.timestamp.after.max.ms": ANY_TIMESTAMP,
        "log.message.timestamp.before.max.ms": ANY_TIMESTAMP,
        "offsets.retention.minutes": str(365 * 24 * 60),
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
    }


class TopicsExist:
    """Callable: True when the broker answers and has every topic; makes what is missing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self._settings.kafka_bootstrap, "log_level": 0})
        try:
            present = set(admin.list_topics(timeout=2).topics)
            missing = [topic for topic in new_topics(self._settings) if topic.topic not in present]
            for made in admin.create_topics(missing).values() if missing else ():
                made.result(timeout=10)
        except KafkaException:
            return False
        return not missing


def new_topics(settings: Settings) -> list[NewTopic]:
    """Every declared topic with its partitions and configuration."""
    return [
        NewTopic(
            name,
            num_partitions=settings.kafka_partitions,
            replication_factor=settings.kafka_replication,
            config=_topic_config(name in TOPICS.compacted),
        )
        for name in asdict(TOPICS).values()
    ]


def _topic_config(compacted: bool) -> dict[str, str]:
    if compacted:
        return {
            "cleanup.policy": "compact",
            "segment.bytes": str(COMPACTED_SEGMENT_BYTES),
            "retention.ms": FOREVER,
        }
    return {"retention.ms": FOREVER}
