"""Packed commands to Redis in pipelines: written in one piece, answered in order.

redis-py's own pipeline builds and packs each command in Python, which costs more than Redis takes to carry it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError, ResponseError

PIPELINED = 500
"""Commands that are under way at once: enough to hide the way, few enough for the buffers of both ends."""


class Pipe:
    """Calls one script many times, on a connection of the client's pool.

    Every call is harmless to repeat, as all scripts of the store are.
    """

    def __init__(self, client: Redis, script: str) -> None:
        self.client = client
        self._script = script
        self.sha: bytes = client.script_load(script).encode()  # type: ignore[union-attr]

    def call(self, calls: Sequence[bytes] | Iterable[bytes]) -> list[int]:
        """What each packed call answered, in order.

        Raises:
            redis.RedisError: Redis did not answer, or refused a call; some may have been carried out.
        """
        given, answers = iter(calls), []
        while some := list(islice(given, PIPELINED)):
            answers += self._some(some)
        return answers

    def _some(self, calls: Sequence[bytes]) -> list[int]:
        try:
            return self._sent(calls)
        except NoScriptError:
            # Redis was started anew since.
            self.client.script_load(self._script)
            return self._sent(calls)

    def _sent(self, calls: Sequence[bytes]) -> list[int]:
        connection: Any = self.client.connection_pool.get_connection()
        try:
            connection.send_packed_command([b"".join(calls)])
            answers = list(_answers(connection, len(calls)))
        except BaseException:
            # What is still to be read would be taken for the answer of another call.
            connection.disconnect()
            raise
        finally:
            self.client.connection_pool.release(connection)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers


def _answers(connection: Any, count: int) -> Iterator[Any]:
    for _ in range(count):
        try:
            yield connection.read_response(disable_decoding=True)
        except ResponseError as error:
            yield error
