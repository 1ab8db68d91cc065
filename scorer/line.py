"""One connection to Redis that all reads share: a request goes out at once, answers come back in the same order.

redis-py connects (address, password, TLS, database); from then on the connection is read and written here, because the way of
a request through its pool, parser and streams takes longer than Redis does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, TypeAlias, cast

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import BusyLoadingError, InvalidResponse, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

Answer: TypeAlias = "list[bytes | None] | Exception"
NOTHING = object()


class Line(asyncio.Protocol):
    """An open connection.

    Attributes:
        lost: it is closed, by whomever; who reads next opens another one.
    """

    def __init__(self, connection: AbstractConnection) -> None:
        self.lost = False
        # Its destructor would close the transport.
        self._connection = connection
        self._transport: asyncio.Transport = cast(Any, connection)._writer.transport
        self._reader = hiredis.Reader(protocolError=InvalidResponse, replyError=_error, notEnoughData=NOTHING)
        self._asked: deque[tuple[asyncio.Future[list[Answer]], int]] = deque()
        self._answers: list[Answer] = []
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, connection: AbstractConnection) -> Line:
        """Connect.

        Raises:
            RedisError: it was refused.
        """
        await connection.connect()  # type: ignore[no-untyped-call]
        return cls(connection)

    def ask(self, request: bytes, commands: int) -> asyncio.Future[list[Answer]]:
        """Send so many packed commands; an error of one stands in its place.

        Raises:
            redis.ConnectionError: (of the future) the connection was lost before all were answered.
        """
        asked: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, commands))
        self._transport.write(request)
        return asked

    def hang_up(self) -> None:
        """Close it at once; whoever waits for an answer gets none."""
        self.lost = True
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """What came may hold a part of an answer, or several."""
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not NOTHING:
            self._answers.append(cast(Answer, answer))
            asked, commands = self._asked[0]
            if len(self._answers) == commands:
                self._asked.popleft()
                # Who gave up waiting does not want it any more.
                if not asked.done():
                    asked.set_result(self._answers)
                self._answers = []

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more will come."""
        self.lost = True
        while self._asked:
            asked, _ = self._asked.popleft()
            if not asked.done():
                asked.set_exception(RedisConnectionError(f"the connection was lost: {error or 'closed'}"))


def _error(text: str) -> Exception:
    return BusyLoadingError(text) if text.startswith("LOADING") else ResponseError(text)
