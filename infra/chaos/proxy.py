"""A TCP proxy on loopback whose way can be broken while connections are open: what stands between a scorer and what it depends on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Literal, Self, get_args

Mode = Literal["pass", "down", "slow", "garbage", "flapping"]
MODES: tuple[Mode, ...] = get_args(Mode)
SLOW_SECONDS = 0.2
"""Later than sent, each way of a slow connection together."""
FLAP_SECONDS = 0.5
PIECE = 65_536


class Proxy:
    """Passes bytes from `port` to `to` and back, in a thread of its own, as long as the context is open.

    `down` cuts what is open and takes nothing new; `slow` delivers answers `SLOW_SECONDS` late; `garbage` answers with random bytes
    of the same number; `flapping` is down every other `FLAP_SECONDS`.
    """

    def __init__(self, host: str, port: int, to: int) -> None:
        self._host, self._port, self._to = host, port, to
        self._mode: Mode = "pass"
        self._cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._taken, self._host, self._port))
        self._flapping = asyncio.run_coroutine_threadsafe(self._flap(), self._loop)
        return self

    def __exit__(self, *error: object) -> None:
        self._flapping.cancel()
        self._server.close()
        self._run(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens; one that was free where it was made with port 0."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._cut = mode == "down"
        if self._cut:
            self._run(self._hang_up())

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(FLAP_SECONDS)
            if self._mode == "flapping":
                self._cut = not self._cut
                if self._cut:
                    await self._hang_up()

    async def _hang_up(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        with suppress(OSError):
            there, to = await asyncio.open_connection(self._host, self._to)
            self._open |= {writer, to}
            try:
                await asyncio.gather(self._forth(reader, to), self._back(there, writer))
            finally:
                self._open -= {writer, to}
                to.transport.abort()
        writer.transport.abort()

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What is late stays in order, and waits once: pieces that follow each other are not late twice."""
        loop = asyncio.get_running_loop()
        last = 0.0
        while data := await reader.read(PIECE):
            if self._mode == "garbage":
                data = os.urandom(len(data))
            last = max(last, loop.time() + (SLOW_SECONDS if self._mode == "slow" else 0.0))
            loop.call_at(last, writer.write, data)
        loop.call_at(last, writer.transport.abort)
