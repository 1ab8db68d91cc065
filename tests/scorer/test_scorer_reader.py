"""A topic that comes late, grows, and is made anew, through a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from scorer import reader
from scorer.reader import TopicReader
from scorer.service import Options
from tests.scorer.kit import unique, until


class Topic:
    """A topic and what was read of it."""

    def __init__(self, options: Options) -> None:
        self.name, self.bootstrap = unique("topic"), options.kafka_bootstrap
        self.admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self.taken: list[bytes] = []

    def make(self, partitions: int) -> None:
        self.admin.create_topics([NewTopic(self.name, partitions, 1)])[self.name].result(30)

    def send(self, *values: str, partition: int = 0) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap})
        for value in values:
            producer.produce(self.name, value, partition=partition)
        assert producer.flush(30) == 0

    def take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if message.value() == b"wrong":
                raise ValueError("what takes it fails")
            self.taken.append(message.value() or b"")

    @contextmanager
    def read(self) -> Iterator[TopicReader]:
        one = TopicReader(self.bootstrap, self.name, self.take)
        one.start()
        try:
            yield one
        finally:
            one.close()


@pytest.fixture
def topic(options: Options, monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(reader, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(reader, "AGAIN_SECONDS", 0.1)
    return Topic(options)


def test_a_topic_that_is_not_there_yet_is_read_when_it_is(topic: Topic) -> None:
    with topic.read() as read:
        until(lambda: read.refused)
        assert read.missing is not None
        topic.make(1)
        topic.send("a")
        until(lambda: topic.taken == [b"a"])
        until(lambda: read.missing is None)
        assert (read.refused, read.offset) == (False, [1])


def test_partitions_that_are_added_are_read_from_their_begin(topic: Topic) -> None:
    topic.make(1)
    topic.send("a")
    with topic.read() as read:
        until(lambda: topic.taken == [b"a"])
        topic.admin.create_partitions([NewPartitions(topic.name, 2)])[topic.name].result(30)
        topic.send("b", partition=1)
        until(lambda: topic.taken == [b"a", b"b"])
        topic.send("c")
        until(lambda: topic.taken == [b"a", b"b", b"c"])
        assert read.offset == [2, 1]


def test_a_topic_made_anew_with_fewer_partitions_is_read_from_its_begin(topic: Topic) -> None:
    topic.make(2)
    topic.send("a", "b", partition=0)
    topic.send("c", partition=1)
    with topic.read():
        until(lambda: sorted(topic.taken) == [b"a", b"b", b"c"])
        topic.taken.clear()
        topic.admin.delete_topics([topic.name])[topic.name].result(30)
        until(lambda: topic.name not in topic.admin.list_topics(timeout=10).topics)
        topic.make(1)
        topic.send("d")
        until(lambda: topic.taken == [b"d"])


def test_what_fails_on_a_record_is_tried_again_and_stops_nothing(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.make(1)
    with topic.read() as read:
        until(lambda: read.missing is None)
        topic.send("wrong")
        topic.send("a")
        until(lambda: read.offset == [0])
        monkeypatch.setattr(
            read, "_take", lambda messages: topic.taken.extend(m.value() or b"" for m in messages)
        )
        until(lambda: topic.taken[-1:] == [b"a"])
