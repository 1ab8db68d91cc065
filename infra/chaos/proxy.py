"""A TCP proxy on loopback whose way can be broken while connections are open: what stands between a scorer and what it depends on."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import suppress
from random import Random
from typing import Any, Literal, Self, get_args

Mode = Literal["pass", "down", "slow", "garbage", "flapping"]
MODES: tuple[Mode, ...] = get_args(Mode)
SLOW_SECONDS = 0.2
"""So much later than sent an answer of a slow connection comes."""
FLAP_SECONDS = 0.5
PIECE = 65_536
WRONG = (b":1\r\n", b"*1\r\n:1\r\n", b"$2\r\nno\r\n")
"""Answers that Redis could give, to other questions."""


class Proxy:
    """Passes bytes from `port` to `to` and back, in a thread of its own, as long as the context is open.

    `down` cuts what is open and takes nothing new; `slow` delivers answers `SLOW_SECONDS` late; `garbage` answers with bytes by chance
    or with well-formed answers to other questions; `flapping` is down every other `FLAP_SECONDS`.
    """

    def __init__(self, host: str, port: int, to: int) -> None:
        """`port` 0: any that is free."""
        self._host, self._port, self._to = host, port, to
        self._mode: Mode = "pass"
        self._cut = False
        self._chance = Random(0)
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
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._run(self._change(mode))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _change(self, mode: Mode) -> None:
        self._mode = mode
        self._cut_now(mode == "down")

    async def _flap(self) -> None:
        while True:
            await asyncio.sleep(FLAP_SECONDS)
            if self._mode == "flapping":
                self._cut_now(not self._cut)

    def _cut_now(self, cut: bool) -> None:
        self._cut = cut
        if cut:
            for writer in list(self._open):
                writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._cut_now(True)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(OSError):
            there, to = await asyncio.open_connection(self._host, self._to)
            self._open.add(to)
            if not self._cut:
                await self._between(reader, writer, there, to)
            self._open.discard(to)
            to.transport.abort()
        self._open.discard(writer)
        writer.transport.abort()

    async def _between(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamReader,
        to: asyncio.StreamWriter,
    ) -> None:
        """Until one side ends."""
        ways = [
            asyncio.ensure_future(self._forth(reader, to)),
            asyncio.ensure_future(self._back(there, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _forth(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers in their order; each waits for its own time alone, so that what follows a late one is not late twice."""
        loop, late = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]](1000)

        async def deliver() -> None:
            while (piece := await late.get())[1]:
                await asyncio.sleep(max(0.0, piece[0] - loop.time()))
                writer.write(piece[1])
                await writer.drain()

        delivering = asyncio.ensure_future(deliver())
        try:
            while data := await reader.read(PIECE):
                await late.put(
                    (loop.time() + (SLOW_SECONDS if self._mode == "slow" else 0.0), self._garbled(data))
                )
            await late.put((0.0, b""))
            await delivering
        finally:
            delivering.cancel()

    def _garbled(self, data: bytes) -> bytes:
        if self._mode != "garbage":
            return data
        if self._chance.random() < 0.5:
            return os.urandom(len(data))
        return b"".join(self._chance.choices(WRONG, k=8))
