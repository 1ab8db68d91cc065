"""Reads feature rows from Redis: all rows of a request in one round trip, within a budget, behind a breaker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

from redis.asyncio import ConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from contracts.features import View
from contracts.online import StoredRow, decode_row, fields_of, is_whole, progress_key, redis_key
from scorer.breaker import Breaker
from scorer.line import Answer, Line
from scorer.metrics import Metrics

LOG = logging.getLogger("scorer.store")
READ_BUDGET_SECONDS = 0.1
"""Far above the 1 ms of a read, so that a stall of the machine is no failure of Redis."""
CONNECT_SECONDS = 0.5
PING_SECONDS = 1.0
PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"PONG"


@dataclass(frozen=True, slots=True)
class RowKey:
    """One row to read: its view, and the values of the view's join keys."""

    view: View
    key: dict[str, str]


class StoreUnavailableError(Exception):
    """The store gave no answer; the message is the cause, fit to be shown."""


class FeatureStore:
    """The online store, as the scorer sees it."""

    def __init__(
        self, url: str, project: str, metrics: Metrics, budget_seconds: float = READ_BUDGET_SECONDS
    ) -> None:
        pool: ConnectionPool = ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_SECONDS)
        self._pool = pool
        self._project = project
        key = progress_key(project).encode()
        self._progress = b"*2\r\n$7\r\nHGETALL\r\n$%d\r\n%b\r\n" % (len(key), key)
        self._metrics = metrics
        self._budget_seconds = budget_seconds
        self._breaker = Breaker(self._answers_in_time)
        self._line: Line | None = None
        self._opening = asyncio.Lock()

    async def read(self, rows: Sequence[RowKey]) -> list[StoredRow | None]:
        """The rows in the order asked; None for one that cannot be read as its view declares.

        Raises:
            StoreUnavailableError: no answer within the budget, the breaker is open, or the store is being rebuilt: a
                withdrawal may then be missing of a shopper whose older grant is there.
        """
        if self._breaker.is_open:
            raise self._unavailable("open", "Redis is left alone after failures in a row")
        try:
            progress, *answers = await self._fetch(rows)
        except TimeoutError:
            self._breaker.failed()
            raise self._unavailable("timeout", "Redis gave no answer in time") from None
        except (RedisError, OSError) as error:
            self._breaker.failed()
            raise self._unavailable("error", f"Redis failed ({type(error).__name__})") from error
        if not _is_sound(progress, answers, rows):
            self._leave(self._line)
            self._breaker.failed()
            raise self._unavailable("error", "Redis gave answers of a wrong form")
        self._breaker.succeeded()
        if not _says_whole(progress):
            raise self._unavailable("rebuilding", "the online store is being rebuilt")
        return [self._decoded(row, answer) for row, answer in zip(rows, answers, strict=True)]

    async def ping(self) -> str | None:
        """Why Redis cannot be reached; None when it can, over the line that the reads share."""
        return await self._pinged(PING_SECONDS)

    async def _answers_in_time(self) -> bool:
        """The breaker's trial: as fast as a read has to be."""
        return await self._pinged(self._budget_seconds) is None

    async def _pinged(self, seconds: float) -> str | None:
        try:
            (answer,) = await self._answered(PING, 1, seconds)
        except TimeoutError:
            return f"no answer within {seconds:g} s"
        except (RedisError, OSError) as error:
            return str(error)
        told: object = answer
        return None if told == PONG else f"it answered {told!r}"

    async def close(self) -> None:
        await self._breaker.close()
        self._hang_up()
        await self._pool.disconnect()

    async def _fetch(self, rows: Sequence[RowKey]) -> list[Answer]:
        """How far the store is, then the rows: one write, one read; an error of one command stands in its place."""
        # Packed here: redis-py packs each of the hundred fields in Python, which takes as long as Redis does.
        commands = (_packed(row.view, redis_key(self._project, row.key)) for row in rows)
        request = b"".join((self._progress, *commands))
        answers = await self._answered(request, 1 + len(rows), self._budget_seconds)
        for answer in answers:
            if isinstance(answer, RedisConnectionError):
                raise answer
        return answers

    async def _answered(self, request: bytes, commands: int, seconds: float) -> list[Answer]:
        """The answers to so many packed commands; a line that does not give them in time is left.

        Raises:
            TimeoutError: it did not.
        """
        async with asyncio.timeout(seconds):
            line = await self._lined()
        asked = line.ask(request, commands)
        try:
            # `asyncio.timeout` would give up on an answer that is there, where this thread was busy for so long.
            done, _ = await asyncio.wait((asked,), timeout=seconds)
            if not done:
                self._leave(line)
                raise TimeoutError
            return asked.result()
        finally:
            asked.cancel()

    async def _lined(self) -> Line:
        """The open line; a lost one is opened again."""
        if self._line is not None and not self._line.lost:
            return self._line
        async with self._opening:
            if self._line is None or self._line.lost:
                self._line = await Line.open(self._pool.make_connection())  # type: ignore[no-untyped-call]
            return self._line

    def _leave(self, line: Line | None) -> None:
        """Hang up on what does not answer; whoever opened another one since has no part in this."""
        if line is not None and line is self._line:
            self._hang_up()

    def _hang_up(self) -> None:
        """The next read opens another line."""
        if self._line is not None:
            self._line.hang_up()
            self._line = None

    def _decoded(self, row: RowKey, answer: Answer) -> StoredRow | None:
        try:
            if isinstance(answer, Exception):
                raise ValueError(str(answer))
            return decode_row(row.view, answer)
        except ValueError as error:
            self._metrics.redis_errors.labels("unreadable").inc()
            LOG.warning("unreadable row", extra={"view": row.view.name, "cause": str(error)})
            return None

    def _unavailable(self, kind: str, cause: str) -> StoreUnavailableError:
        self._metrics.redis_errors.labels(kind).inc()
        return StoreUnavailableError(cause)


def _is_sound(progress: Answer, answers: Sequence[Answer], rows: Sequence[RowKey]) -> bool:
    """Whether each answer has the form of its command's, or says an error."""
    told = [progress, *answers]
    if not all(isinstance(one, list | Exception) for one in told):
        return False
    lengths = [len(fields_of(row.view)) for row in rows]
    whole = all(isinstance(one, Exception) or len(one) == n for one, n in zip(answers, lengths, strict=True))
    return whole and (isinstance(progress, Exception) or len(progress) % 2 == 0)


def _says_whole(progress: Answer) -> bool:
    if isinstance(progress, Exception):
        return False
    pairs = cast("list[bytes]", progress)
    return is_whole(dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _packed(view: View, key: bytes) -> bytes:
    """An HMGET of the whole view, in Redis's protocol (arrays of bulk strings)."""
    head, tail = _around_key(view)
    return b"%b$%d\r\n%b%b" % (head, len(key), key, tail)


@cache
def _around_key(view: View) -> tuple[bytes, bytes]:
    fields = fields_of(view)
    tail = b"".join(b"\r\n$%d\r\n%b" % (len(field), field) for field in fields)
    return b"*%d\r\n$5\r\nHMGET\r\n" % (len(fields) + 2), tail + b"\r\n"
