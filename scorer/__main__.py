"""`python -m scorer`: serve on the loopback port of the settings until SIGTERM.

The server runs in this process, so whoever kills it kills all of it and the port is free again; where `scorer.workers` asks for
several, they are processes of their own (`scorer.workers`).
"""

from __future__ import annotations

import asyncio
import logging.config
import signal
import socket
import sys
from contextlib import suppress

from granian.constants import Interfaces
from granian.server.embed import Server

from contracts.errors import BraidError
from contracts.logs import json_config
from contracts.settings import Settings, from_environment
from scorer import workers
from scorer.app import create_app
from scorer.service import Options, Service, running

LOG = logging.getLogger("scorer")
# The server brings a format of its own; its lines go the same way as ours.
LOGGING = {
    **json_config("INFO"),
    "loggers": {"_granian": {"handlers": [], "propagate": True, "level": "INFO"}},
}


DRAIN_SECONDS = 1.0
"""So long it still answers after it said that it is stopping; on Kubernetes the pod's end is told to the balancer at once."""


READY_SECONDS = 10.0
"""So long a worker waits until it listens; what it lacks by then it answers without."""


async def serve(settings: Settings, *, beside_others: bool) -> None:
    """Serve until SIGTERM or SIGINT; then nobody is sent here any more, requests under way end, and records are delivered."""
    async with running(Options.of(settings)) as service:
        if beside_others:
            await _until_ready(service)
        server = Server(
            create_app(service),
            address=settings.host,
            port=settings.port("scorer"),
            interface=Interfaces.ASGINL,
            backlog=1024,
            websockets=False,
            log_dictconfig=LOGGING,
        )
        loop = asyncio.get_running_loop()

        def stop() -> None:
            service.closing.set()
            loop.call_later(DRAIN_SECONDS, server.stop)

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)
        await server.serve()


async def _until_ready(service: Service) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            while await service.missing():
                await asyncio.sleep(0.05)


def port_problem(host: str, port: int) -> str | None:
    """Why the port cannot be listened on; None when it is free.

    The server's own socket would share the port with another server's (SO_REUSEPORT), and each would
    get some of the requests.
    """
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return f"cannot listen on {host}:{port}: {error.strerror}; stop what does or set BRAID_PORT_BASE"
    return None


def main() -> int:
    logging.config.dictConfig(LOGGING)
    settings, worker = from_environment(), workers.WORKER in sys.argv
    if worker:
        workers.end_with_the_parent()
    elif problem := port_problem(settings.host, settings.port("scorer")):
        LOG.error(problem)
        return 1
    elif settings.scorer_workers > 1:
        return workers.run(settings.scorer_workers, settings.run / "scorer-metrics")
    try:
        asyncio.run(serve(settings, beside_others=worker))
    except BraidError as error:
        LOG.error(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
