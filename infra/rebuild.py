"""`python -m infra.rebuild online | features | view NAME`: what can be lost is made again from Delta and the log.

| lost | made again from | meanwhile the scorer |
|---|---|---|
| `online`: Redis, flushed or empty | `online_features` by the feature writer, the newest cut by materialization | uses no row, and says so |
| `features`: the topic `online_features` | `events`, from the first one, by the stream job; erasures are kept | uses no row, and says so |
| `view NAME`: a view's rows are of another declaration | as its strand makes them | uses no row, and says so (stream) |

Every command may be repeated; the content afterwards is that of a store that never lost anything.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from deltalake import DeltaTable
from redis import Redis

from contracts.errors import BraidError
from contracts.features import USER, VIEWS, Strand, View
from contracts.logs import RoomLog
from contracts.online import HELD, is_whole, progress_key
from contracts.settings import TOPICS, Settings, from_environment
from contracts.tables import table_named
from infra.demo.process import run_step
from infra.demo.topics import wait_for
from infra.parity.topics import read_all
from infra.publish import Sender

log = RoomLog("infra")
KAFKA_SECONDS = 30
FORGOTTEN = b'"view":"forgotten"'
"""What the log of events cannot make again."""
LIMIT_SECONDS = 3600.0


class RebuildError(BraidError):
    """Something cannot be made again; the message says what is missing."""


def main(arguments: Sequence[str] | None = None) -> int:
    options, settings = _parser().parse_args(arguments), from_environment()
    began = time.perf_counter()
    try:
        if options.what == "online":
            rebuild_online(settings, options.cut)
        elif options.what == "features":
            rebuild_features(settings)
        else:
            rebuild_view(settings, _view(options.name), options.cut)
    except BraidError as error:
        log("rebuild_failed", level="error", what=options.what, error=str(error))
        return 1
    log("rebuilt", what=options.what, seconds=round(time.perf_counter() - began, 1))
    return 0


def rebuild_online(settings: Settings, cut: date | None) -> None:
    """Wait until the writer has read the topic again, and materialize the newest cut (or `cut`).

    Raises:
        RebuildError: the writer does not come to the end of the topic.
    """
    if HELD.encode() in _progress(Redis.from_url(settings.redis_url), settings):
        raise RebuildError("another rebuild did not come to its end: `python -m infra.rebuild features` does")
    _wait_until_whole(settings)
    _materialize(settings, cut)


def rebuild_features(settings: Settings) -> None:
    """Empty the topic and let the stream job write every row again.

    Rows that Redis holds stay and are replaced by equal ones. Nobody uses them meanwhile: a store that lost something before
    the end would be filled from half a topic.
    """
    with _held(Redis.from_url(settings.redis_url), settings):
        _write_again(settings)
    _wait_until_whole(settings)


def rebuild_view(settings: Settings, view: View, cut: date | None) -> None:
    """Remove a view's rows and make them again as the view is declared now."""
    if view.strand is Strand.BATCH:
        run_step(settings, "rebuild", "feature_repo", "clear", "--view", view.name)
        _materialize(settings, cut)
        return
    with _held(Redis.from_url(settings.redis_url), settings):
        run_step(settings, "rebuild", "feature_repo", "clear", "--view", view.name)
        _write_again(settings)
    _wait_until_whole(settings)


def _write_again(settings: Settings) -> None:
    """The stream job from the first event, into an empty topic; then all of it into Redis."""
    run_step(settings, "rebuild", "flink_jobs", "stop")
    # An erasure has no other copy: it stands behind the end before what lies in front of that end goes.
    ends, sender = _ends(settings), Sender(settings)
    for _, _, key, value in read_all(settings, TOPICS.online_features):
        if FORGOTTEN in value:
            sender.send_raw(TOPICS.online_features, key.decode(), value)
    sender.flush()
    _empty(settings, ends)
    run_step(settings, "rebuild", "flink_jobs", "restart")
    wait_for("the feature writer has read online_features", lambda: _read_to_the_end(settings), LIMIT_SECONDS)


def _materialize(settings: Settings, cut: date | None) -> None:
    on = cut or newest_cut(settings)
    if on is None:
        log("no cut was ever published: there are no rows of the batch strand")
        return
    run_step(settings, "rebuild", "feature_repo", "materialize", "--cut", on.isoformat())


def newest_cut(settings: Settings) -> date | None:
    """The newest cut of the user rows in Delta; None where there is none."""
    path = table_named(USER.table).path(settings)
    if not (path / "_delta_log").is_dir():
        return None
    cuts = DeltaTable(str(path)).to_pyarrow_table(columns=["cut_on"])["cut_on"].unique().to_pylist()
    return max(cuts, default=None)


@contextmanager
def _held(store: Redis, settings: Settings) -> Iterator[None]:
    """While it lasts no row is used, and no longer when it has succeeded: what is half made is not served."""
    store.hset(progress_key(settings.feast_project), HELD, "1")
    yield
    store.hdel(progress_key(settings.feast_project), HELD)


def _wait_until_whole(settings: Settings) -> None:
    store = Redis.from_url(settings.redis_url)
    wait_for(
        "the feature writer has read online_features (is it up?)",
        lambda: is_whole(_progress(store, settings)) and _read_to_the_end(settings),
        LIMIT_SECONDS,
    )


def _progress(store: Redis, settings: Settings) -> dict[bytes, bytes]:
    found: Any = store.hgetall(progress_key(settings.feast_project))
    return dict(found)


def _read_to_the_end(settings: Settings) -> bool:
    """Whether the rows of every record are stored."""
    held = _progress(Redis.from_url(settings.redis_url), settings)
    ends = _ends(settings)
    return all(int(held.get(str(number).encode(), -1)) >= end for number, end in ends.items())


def _ends(settings: Settings) -> dict[int, int]:
    consumer = Consumer({"bootstrap.servers": settings.kafka_bootstrap, "group.id": "braid-rebuild"})
    try:
        parts = consumer.list_topics(TOPICS.online_features, timeout=KAFKA_SECONDS).topics[
            TOPICS.online_features
        ]
        if parts.error is not None:
            raise RebuildError(f"there is no topic {TOPICS.online_features}: `make up` makes it")
        return {
            number: consumer.get_watermark_offsets(
                TopicPartition(TOPICS.online_features, number), timeout=KAFKA_SECONDS
            )[1]
            for number in parts.partitions
        }
    finally:
        consumer.close()


def _empty(settings: Settings, ends: Mapping[int, int]) -> None:
    """Delete every record before these offsets; offsets go on.

    Kafka deletes only where the policy says so; nothing else goes meanwhile, since retention is without end.
    """
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    before = [TopicPartition(TOPICS.online_features, number, end) for number, end in ends.items()]
    try:
        _set_policy(admin, "compact,delete")
        for deleted in admin.delete_records(before).values():
            deleted.result(timeout=KAFKA_SECONDS)
        _set_policy(admin, "compact")
    except KafkaException as error:
        raise RebuildError(f"{TOPICS.online_features} cannot be emptied: {error}") from error


def _set_policy(admin: AdminClient, policy: str) -> None:
    entry = ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, TOPICS.online_features, incremental_configs=[entry])
    for changed in admin.incremental_alter_configs([topic]).values():
        changed.result(timeout=KAFKA_SECONDS)


def _view(name: str) -> View:
    return next(view for view in VIEWS if view.name == name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infra.rebuild", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="what", required=True)
    online = commands.add_parser("online", help="Redis was flushed")
    commands.add_parser("features", help="online_features was lost")
    view = commands.add_parser("view", help="a view was declared anew")
    view.add_argument("name", choices=[view.name for view in VIEWS])
    for command in (online, view):
        command.add_argument("--cut", type=date.fromisoformat, help="of batch views; the newest one without")
    return parser


if __name__ == "__main__":
    sys.exit(main())
