"""`python -m scorer`: serve on the loopback port of the settings until SIGTERM.

The server runs in this process, so whoever kills it kills all of it and the port is free again; where `scorer.workers` asks for
several, they are processes of their own (`scorer.workers`).
"""

from __future__ import annotations

import asyncio
import gc
import logging.config
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

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


READY_SECONDS = 60.0
"""So long a worker waits until it listens; what it lacks by then it answers without."""


async def serve(settings: Settings, parent: socket.socket | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then nobody is sent here any more, requests under way end, and records are delivered.

    Args:
        parent: a worker's line to the one that keeps it.
    """
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    options = replace(Options.of(settings), among_workers=parent is not None)
    async with running(options) as service, AsyncExitStack() as ends:
        if parent is not None:
            ends.callback(asyncio.create_task(workers.beat(parent)).cancel)
            await _until_ready(service, stopping)
        ends.callback(asyncio.create_task(_settle(service)).cancel)
        if not stopping.is_set():
            await _serve(settings, service, stopping)


async def _serve(settings: Settings, service: Service, stopping: asyncio.Event) -> None:
    server = Server(
        create_app(service),
        address=settings.host,
        port=settings.port("scorer"),
        interface=Interfaces.ASGINL,
        backlog=1024,
        websockets=False,
        log_dictconfig=LOGGING,
    )

    async def stop() -> None:
        await stopping.wait()
        service.closing.set()
        await asyncio.sleep(DRAIN_SECONDS)
        server.stop()  # type: ignore[no-untyped-call]

    stopped = asyncio.create_task(stop())
    try:
        await server.serve()
    finally:
        stopped.cancel()


async def _until_ready(service: Service, stopping: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            while not stopping.is_set() and await service.missing():
                await asyncio.sleep(0.05)


async def _settle(service: Service) -> None:
    """Leave what lives long, of the process and of each snapshot, out of full collections: requests would wait for each of them."""
    settled = None
    while True:
        serving = service.follower.serving
        if serving is not settled and not await service.missing():
            gc.freeze()
            settled = serving
        await asyncio.sleep(1)


def taken(host: str, port: int) -> socket.socket:
    """The port, bound but not listened on.

    The server's own socket would share the port with another server's (SO_REUSEPORT), and each would
    get some of the requests.

    Raises:
        BraidError: it is not free.
    """
    try:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, port))
    except OSError as error:
        raise BraidError(
            f"cannot listen on {host}:{port}: {error.strerror}; stop what does or set BRAID_PORT_BASE"
        ) from error
    return held


def main() -> int:
    logging.config.dictConfig(LOGGING)
    settings, worker = from_environment(), workers.WORKER in sys.argv
    try:
        if worker:
            asyncio.run(serve(settings, workers.end_with_the_parent()))
        else:
            port = taken(settings.host, settings.port("scorer"))
            if settings.scorer_workers > 1:
                return workers.run(settings.scorer_workers, port)
            port.close()
            asyncio.run(serve(settings))
    except BraidError as error:
        LOG.error(str(error))
        return workers.CANNOT_RUN if worker else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
