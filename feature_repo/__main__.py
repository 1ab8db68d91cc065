"""The commands of the room: `python -m feature_repo apply | training-set | materialize | writer | clear | forget`."""

from __future__ import annotations

import argparse
import logging.config
import os
import signal
import time
from collections.abc import Callable
from datetime import date

from contracts.cuts import Cut
from contracts.logs import RoomLog, json_config
from contracts.settings import Settings, from_environment

log = RoomLog("feature_repo")
LABEL_DAYS = 90


def main() -> None:
    """Run one command; an error ends it with its trace and a status other than 0."""
    arguments = _parser().parse_args()
    # Feast and Spark hand naive times across; both then mean UTC.
    os.environ["TZ"] = "UTC"
    time.tzset()
    # Of the libraries' own lines the warnings are enough.
    logging.config.dictConfig(json_config("WARNING"))
    command: Callable[[argparse.Namespace, Settings], None] = arguments.run
    command(arguments, from_environment())


def run_apply(arguments: argparse.Namespace, settings: Settings) -> None:
    """Register entities, views and the feature service."""
    from feature_repo.repo import apply

    store = apply(settings)
    log("applied", project=store.project, views=[view.name for view in store.list_feature_views()])


def run_training_set(arguments: argparse.Namespace, settings: Settings) -> None:
    """Label rows of the days to the cut, with the features that were known then, into Delta."""
    from feature_repo.repo import apply
    from feature_repo.session import spark_session
    from feature_repo.training import write_training_set

    cut = Cut(arguments.cut, settings.publish_delay)
    with spark_session(settings) as spark:
        rows = write_training_set(spark, apply(settings), settings, cut, arguments.label_days)
    log("training set", cut=cut.on, label_days=arguments.label_days, rows=rows)


def run_materialize(arguments: argparse.Namespace, settings: Settings) -> None:
    """The batch views of the cut, into Redis."""
    from feature_repo.materialize import materialize
    from feature_repo.repo import apply
    from feature_repo.session import spark_session

    cut = Cut(arguments.cut, settings.publish_delay)
    with spark_session(settings):
        views = materialize(apply(settings), settings, cut)
    log("materialized", cut=cut.on, views=views)


def run_clear(arguments: argparse.Namespace, settings: Settings) -> None:
    """Remove a view's rows from the online store, as it was last registered, and register it as it is declared now."""
    from feature_repo.repo import apply, open_store
    from feature_repo.store import VersionedRedisOnlineStore

    store = open_store(settings)
    names = [view.name for view in store.list_feature_views()]
    if arguments.view in names:
        VersionedRedisOnlineStore().delete_table(store.config, store.get_feature_view(arguments.view))
    apply(settings)
    log("cleared", view=arguments.view, registered=arguments.view in names)


def run_forget(arguments: argparse.Namespace, settings: Settings) -> None:
    """Erase a user or a device from the online store; nothing of before comes back for late_horizon."""
    from contracts.clock import to_micros
    from contracts.online import is_whole, progress_key
    from feature_repo.forget import ForgetError, erasures, send
    from feature_repo.repo import online_config
    from feature_repo.store import VersionedRedisOnlineStore

    kind, name = ("user", arguments.user) if arguments.user else ("visitor", arguments.visitor)
    client = VersionedRedisOnlineStore().client(online_config(settings))
    if not is_whole(client.hgetall(progress_key(settings.feast_project))):  # type: ignore[arg-type]
        raise ForgetError(
            "the online store is being rebuilt: sessions may be missing of it; run it again afterwards"
        )
    records = erasures(settings, client, kind, name, to_micros(settings.clock().now()))
    send(settings, records)
    log("forgotten", kind=kind, records=len(records))


def run_writer(arguments: argparse.Namespace, settings: Settings) -> None:
    """Follow the topic until SIGTERM or SIGINT."""
    from prometheus_client import start_http_server

    from feature_repo.metrics import WriterMetrics
    from feature_repo.patience import Stop
    from feature_repo.writer import FeatureWriter

    metrics, stop = WriterMetrics(), Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: setattr(stop, "wanted", True))
    start_http_server(settings.port("writer_metrics"), settings.host, metrics.registry)
    FeatureWriter(settings, settings.clock(), metrics, stop).run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m feature_repo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add(commands, "apply", run_apply)
    _with_cut(_add(commands, "materialize", run_materialize))
    training = _with_cut(_add(commands, "training-set", run_training_set))
    training.add_argument("--label-days", type=int, default=LABEL_DAYS, help="days of labels up to the cut")
    _add(commands, "writer", run_writer)
    _add(commands, "clear", run_clear).add_argument("--view", required=True)
    who = _add(commands, "forget", run_forget).add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="a user_id")
    who.add_argument("--visitor", help="a visitor_id: its sessions too")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, Settings], None],
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    command.set_defaults(run=run)
    return command


def _with_cut(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--cut", type=date.fromisoformat, required=True, help="the day, as 2011-09-01")
    return command


if __name__ == "__main__":
    main()
