"""The local stack, by its real Redis and Kafka: starts, is idempotent, notices deaths, names what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from contracts.settings import TOPICS, Settings
from infra.stack import LocalStack, StackError, Unit
from infra.stack.ports import all_free
from tests.ports import free_port_base

UNITS = ["redis", "kafka"]


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings apart from the session's stack: these tests kill and stop."""
    return replace(settings, var=tmp_path_factory.mktemp("own"), port_base=free_port_base())


@pytest.fixture
def local(own: Settings) -> Iterator[LocalStack]:
    stack = LocalStack(own)
    yield stack
    stack.down()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def states(stack: LocalStack) -> dict[str, str]:
    return {row.name: row.state for row in stack.status()}


def pids(stack: LocalStack) -> dict[str, int | None]:
    return {row.name: row.pid for row in stack.status() if row.name in UNITS}


def test_up_is_idempotent_and_down_frees_the_ports(local: LocalStack, own: Settings) -> None:
    local.up(UNITS)
    first = pids(local)
    # Each leads a session, among which the cores are shared, and a group, which is stopped as one.
    assert [(os.getsid(pid), os.getpgid(pid)) for pid in first.values() if pid] == [
        (pid, pid) for pid in first.values()
    ]
    assert states(local) | dict.fromkeys(UNITS, "running") == states(local)
    assert states(local)["scorer"] == "stopped"

    local.up(UNITS)
    assert pids(local) == first

    local.down()
    ports = [own.port(name) for name in ("redis", "kafka", "kafka_controller", "supervisor")]
    assert all_free(own.host, ports)
    assert set(states(local).values()) == {"stopped"}
    assert not [pid for pid in first.values() if pid and psutil.pid_exists(pid)]


def test_a_killed_redis_is_seen_and_comes_back_with_its_data(local: LocalStack, own: Settings) -> None:
    local.up(["redis"])
    with redis.Redis.from_url(own.redis_url) as client:
        client.set("key", "value")
        # `appendfsync everysec` writes before it answers; the kill loses the process, not the file.
        os.kill(client.info("server")["process_id"], signal.SIGKILL)
    wait_until(lambda: states(local)["redis"] == "dead")

    local.up(["redis"])
    assert states(local)["redis"] == "running"
    with redis.Redis.from_url(own.redis_url) as client:
        assert client.get("key") == b"value"


def test_kafka_has_the_declared_topics_and_keeps_messages_over_a_restart(
    local: LocalStack, own: Settings
) -> None:
    local.up(["kafka"])
    admin = AdminClient({"bootstrap.servers": own.kafka_bootstrap})
    topics = admin.list_topics(timeout=10).topics
    assert {name: len(topics[name].partitions) for name in asdict(TOPICS).values()} == dict.fromkeys(
        asdict(TOPICS).values(), own.kafka_partitions
    )
    compacted = {
        name for name in asdict(TOPICS).values() if topic_config(admin, name)["cleanup.policy"] == "compact"
    }
    assert compacted == TOPICS.compacted
    assert {topic_config(admin, name)["retention.ms"] for name in asdict(TOPICS).values()} == {"-1"}

    # A replayed event carries a day of 2011: the broker keeps it as well as today's.
    producer = Producer({"bootstrap.servers": own.kafka_bootstrap})
    producer.produce(TOPICS.events, value=b"{}", key=b"v1", partition=0, timestamp=1_314_662_400_000)
    assert producer.flush(30) == 0
    local.down(["kafka"])
    assert states(local)["kafka"] == "stopped"
    local.up(["kafka"])
    assert end_offset(own, TOPICS.events, 0) == 1


def topic_config(admin: AdminClient, name: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, name)
    entries = next(iter(admin.describe_configs([resource]).values())).result(timeout=10)
    return {key: entry.value for key, entry in entries.items()}


def end_offset(own: Settings, topic: str, partition: int) -> int:
    consumer = Consumer({"bootstrap.servers": own.kafka_bootstrap, "group.id": "look"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)[1]
    finally:
        consumer.close()


def test_units_of_a_killed_supervisor_are_replaced(local: LocalStack, own: Settings) -> None:
    local.up(["redis"])
    orphan = pids(local)["redis"]
    os.kill(int((own.run / "supervisord.pid").read_text()), signal.SIGKILL)

    local.up(["redis"])
    assert states(local)["redis"] == "running"
    assert pids(local)["redis"] != orphan


def test_a_port_in_use_is_named_with_its_unit(local: LocalStack, own: Settings) -> None:
    port = own.port("redis")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((own.host, port))
        taken.listen()
        with pytest.raises(StackError, match=rf"redis: port {port} .*pid {os.getpid()}.*BRAID_PORT_BASE"):
            local.up(["redis"])


def test_a_missing_jar_is_named(own: Settings, tmp_path: Path) -> None:
    stack = LocalStack(own, root=tmp_path)
    try:
        with pytest.raises(StackError, match=rf"kafka: {tmp_path}/jars/kafka is missing; run `make setup`"):
            stack.up(["kafka"])
    finally:
        stack.down()


def unit(name: str, *command: str) -> Unit:
    return Unit(name=name, command=command, healthy=lambda: True, limit_seconds=30)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (unit("lost", "no-such-program"), r"lost: no-such-program is not installed; run `make setup`"),
        (
            replace(
                unit("hasty", sys.executable, "-c", "print('no settings here'); raise SystemExit(3)"),
                healthy=lambda: False,
            ),
            r"(?s)hasty: died while starting .*3.*hasty\.log.*no settings here",
        ),
        (
            replace(
                unit("silent", sys.executable, "-c", "import time; time.sleep(60)"),
                healthy=lambda: False,
                limit_seconds=1,
            ),
            r"silent: did not become healthy within 1 s; its log: ",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Unit) else "",
)
def test_a_broken_unit_is_named(own: Settings, broken: Unit, message: str) -> None:
    stack = LocalStack(own, units={broken.name: broken})
    try:
        with pytest.raises(StackError, match=message):
            stack.up([broken.name])
    finally:
        stack.down()


def test_a_command_that_ends_runs_again_only_when_needed(own: Settings, tmp_path: Path) -> None:
    made = tmp_path / "made"
    once = replace(unit("once", "/bin/sh", "-c", f"echo run >> {made}"), healthy=made.exists, once=True)
    stack = LocalStack(own, units={"once": once})
    try:
        stack.up(["once"])
        stack.up(["once"])
        assert made.read_text() == "run\n"
        assert states(stack) == {"once": "done"}
        made.unlink()
        assert states(stack) == {"once": "dead"}
        stack.up(["once"])
        assert made.read_text() == "run\n"
    finally:
        stack.down()


def test_a_unit_yields_as_declared_and_is_the_process_that_was_started(own: Settings) -> None:
    sleeper = Unit("sleeper", (sys.executable, "-c", "import time; time.sleep(60)"), lambda: True, niceness=3)
    stack = LocalStack(own, units={sleeper.name: sleeper})
    try:
        stack.up([sleeper.name])
        [pid] = [row.pid for row in stack.status()]
        group = Path(f"/proc/{pid}/autogroup")
        wait_until(lambda: psutil.Process(pid).cmdline()[1] == "-c")
        assert not group.exists() or group.read_text().endswith("nice 3\n")
    finally:
        stack.down()


def test_an_unknown_unit_is_refused(local: LocalStack) -> None:
    with pytest.raises(StackError, match="'kafkaa' is no unit of the stack; there are redis, kafka"):
        local.up(["kafkaa"])
