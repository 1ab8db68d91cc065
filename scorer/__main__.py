"""`python -m scorer`: serve on the loopback port of the settings until SIGTERM.

The server runs in this process, so whoever kills it kills all of it and the port is free again.
"""

from __future__ import annotations

import asyncio
import logging.config
import signal

from granian.constants import Interfaces
from granian.server.embed import Server

from contracts.settings import Settings, from_environment
from scorer.app import create_app
from scorer.logs import CONFIG
from scorer.service import Options, running


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then requests under way end and records are delivered."""
    async with running(Options.of(settings)) as service:
        server = Server(
            create_app(service),
            address=settings.host,
            port=settings.port("scorer"),
            interface=Interfaces.ASGINL,
            backlog=1024,
            websockets=False,
            log_dictconfig=CONFIG,
        )
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, server.stop)
        await server.serve()


def main() -> None:
    logging.config.dictConfig(CONFIG)
    asyncio.run(serve(from_environment()))


if __name__ == "__main__":
    main()
