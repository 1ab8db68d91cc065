"""`python -m infra.kubernetes render [--check] | application --cut D [--jobs J] | topics`.

`application` prints the `SparkApplication` of one cut for `kubectl apply -f -`; `topics` makes the topics that the Kafka of
the settings lacks, with their partitions and copies.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from contracts.logs import RoomLog
from contracts.settings import from_environment
from infra.kubernetes.render import Application, cluster_settings, spark_application, stale, write
from infra.stack.broker import TopicsExist

log = RoomLog("infra")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when something is not as it should be."""
    options = _parser().parse_args(arguments)
    if options.action == "application":
        sys.stdout.write(spark_application(cluster_settings(), Application(options.cut, options.jobs)))
        return 0
    if options.action == "topics":
        return _topics()
    return _render(options.check)


def _render(check: bool) -> int:
    if not check:
        write()
        return 0
    old = stale()
    if old:
        log("stale", level="error", files=old, do="python -m infra.kubernetes render")
    return 1 if old else 0


def _topics() -> int:
    """Until every topic is there or the Kafka does not answer; what starts this tries again."""
    exist = TopicsExist(from_environment())
    there = exist() or exist()
    log("topics", level="info" if there else "error", all_there=there)
    return 0 if there else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.kubernetes", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    render = actions.add_parser("render", help="write spark-application.yaml and flink-deployment.yaml")
    render.add_argument(
        "--check", action="store_true", help="write nothing; fail when they are not as rendered"
    )
    application = actions.add_parser("application", help="print the SparkApplication of one run")
    application.add_argument("--cut", type=date.fromisoformat, required=True, metavar="DATE")
    application.add_argument("--jobs", default=Application().jobs)
    actions.add_parser("topics", help="make the topics that are missing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
