"""`python -m infra.load stream | burst | requests --report FILE`: load, each from a process of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.policy import PLACEMENTS
from contracts.reports import write_report
from contracts.settings import Settings, from_environment
from infra.load.online import events_seen_reader, served_items
from infra.load.requests import RequestLoad, RequestResult, live_bodies, run_requests
from infra.load.stream import BurstResult, StreamLoad, StreamResult, run_burst, run_stream

log = RoomLog("infra")

Result = StreamResult | BurstResult | RequestResult
Command = Callable[[Settings, argparse.Namespace], Result]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when the load cannot run."""
    options = _parser().parse_args(arguments)
    commands: dict[str, Command] = {
        "stream": _stream,
        "burst": _burst,
        "requests": _requests,
        "bodies": _bodies,
    }
    try:
        result = commands[options.command](from_environment(), options)
    except BraidError as error:
        log("load_failed", command=options.command, error=str(error))
        return 1
    told = asdict(result)
    write_report(options.report, told, default=None)
    log("loaded", command=options.command, **{k: v for k, v in told.items() if k != "produced"})
    return 0


def _stream(settings: Settings, options: argparse.Namespace) -> StreamResult:
    load = StreamLoad(options.prefix, options.rate, options.seconds, options.concurrent, options.seed)
    clock = settings.clock()
    return run_stream(settings, served_items(settings), load, events_seen_reader(settings), clock.now)


def _burst(settings: Settings, options: argparse.Namespace) -> BurstResult:
    load = StreamLoad(options.prefix, options.events, 1.0, options.concurrent, options.seed)
    clock = settings.clock()
    return run_burst(settings, served_items(settings), load, events_seen_reader(settings), clock.now)


def _requests(settings: Settings, options: argparse.Namespace) -> RequestResult:
    path = f"/v1/placements/{options.placement}:recommend"
    bodies = live_bodies(options.prefix, options.sessions)
    port = settings.port("scorer")
    return run_requests(RequestLoad(settings.host, port, path, bodies, options.rate, options.seconds))


def _bodies(settings: Settings, options: argparse.Namespace) -> RequestResult:
    bodies = options.bodies.read_bytes().splitlines()
    load = RequestLoad(
        settings.host,
        options.port,
        options.path,
        bodies,
        options.rate,
        options.seconds,
        options.connections,
    )
    return run_requests(load)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra.load", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    stream = commands.add_parser("stream", help="events at a steady rate, freshness watched")
    stream.add_argument("--rate", type=float, default=600.0, help="events a second")
    stream.add_argument("--seconds", type=float, default=60.0)
    burst = commands.add_parser("burst", help="events as fast as Kafka takes them, until all are readable")
    burst.add_argument("--events", type=int, default=70_000)
    for command in (stream, burst):
        command.add_argument("--concurrent", type=int, default=300, help="sessions at once")
        command.add_argument("--seed", type=int, default=1)
    requests = commands.add_parser("requests", help="requests at a steady rate")
    requests.add_argument("--rate", type=float, default=95.0, help="requests a second")
    requests.add_argument("--seconds", type=float, default=57.0)
    requests.add_argument("--placement", choices=PLACEMENTS, default="home")
    requests.add_argument("--sessions", type=int, default=1000, help="how many live shoppers ask")
    bodies = commands.add_parser(
        "bodies", help="the bodies of a file, a line each, at a steady rate or as fast as answers come"
    )
    bodies.add_argument("--port", type=int, required=True)
    bodies.add_argument("--path", required=True)
    bodies.add_argument("--bodies", type=Path, required=True)
    bodies.add_argument(
        "--rate", type=float, required=True, help="requests a second; 0: as fast as answers come"
    )
    bodies.add_argument("--seconds", type=float, required=True)
    bodies.add_argument("--connections", type=int, default=24)
    bodies.add_argument("--report", type=Path, required=True)
    for command, prefix in ((stream, "paced"), (burst, "burst"), (requests, "paced")):
        command.add_argument("--prefix", default=prefix, help="names the run's shoppers, sessions and events")
        command.add_argument("--report", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
