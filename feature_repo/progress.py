"""How far the online store has followed the topic, kept in the store itself.

The position of a partition is written after its rows. Redis keeps its writes in order, so whatever it has lost, what it still
says of its position is true: nothing at all after a flush, a smaller one when only the newest writes are gone. Readers see
the same (`contracts.online.is_whole`): while a partition is read again, newer choices about consent may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from contracts.online import PARTITIONS, progress_key, until_field

MOVE_ON = """
-- ARGV: how many partitions; of each its number, the position expected and the new one; fields to remove of those that moved.
local count, moved = tonumber(ARGV[1]), 0
for at = 2, 3 * count, 3 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 2])
    moved = moved + 1
  end
end
if moved == count then
  for at = 3 * count + 2, #ARGV do redis.call('HDEL', KEYS[1], ARGV[at]) end
end
return moved
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of a partition: the oldest offset there is, and the next one to be written."""

    low: int
    high: int


class Progress:
    """The positions of one topic's partitions in one Redis."""

    def __init__(self, client: Redis, project: str) -> None:
        self._client = client
        self._key = progress_key(project)

    def positions(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset to go on from, of those partitions that have one."""
        wanted = list(partitions)
        held: Any = self._client.hmget(self._key, [str(number) for number in wanted]) if wanted else []
        return {
            number: int(offset) for number, offset in zip(wanted, held, strict=True) if offset is not None
        }

    def begin(self, bounds: Mapping[int, Bounds], partitions: int) -> None:
        """Say that these partitions are read from their beginning; the store is not whole before they reach their end.

        Args:
            partitions: how many the topic has.
        """
        fields: dict[str, int] = {PARTITIONS: partitions}
        for number, bound in bounds.items():
            fields |= {str(number): bound.low}
            if bound.high > bound.low:
                fields |= {until_field(number): bound.high}
        with self._client.pipeline() as pipe:
            pipe.hset(self._key, mapping=fields)
            for number, bound in bounds.items():
                if bound.high <= bound.low:
                    pipe.hdel(self._key, until_field(number))
            pipe.execute()

    def reached(self, places: Mapping[int, tuple[int, int]], passed: Iterable[int] = ()) -> bool:
        """Say that the rows before new offsets are stored too, unless Redis has lost something meanwhile.

        Args:
            places: by partition the offset that Redis was last told, and the new one.
            passed: partitions that are not read again any more.

        Returns whether it took them all: a partition of which Redis says anything else keeps what it says.
        """
        moves = [str(number) for place in ((n, *pair) for n, pair in places.items()) for number in place]
        ended = [until_field(number) for number in passed]
        taken: Any = self._client.eval(MOVE_ON, 1, self._key, str(len(places)), *moves, *ended)
        return bool(taken == len(places))

    def reread(self, partition: int, end: int) -> None:
        """Say that a partition's rows are read again up to `end`."""
        self._client.hset(self._key, until_field(partition), str(end))

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Of the partitions that are being read again, where that ends."""
        wanted = list(partitions)
        held: Any = (
            self._client.hmget(self._key, [until_field(number) for number in wanted]) if wanted else []
        )
        return {number: int(end) for number, end in zip(wanted, held, strict=True) if end is not None}
