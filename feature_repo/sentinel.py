"""How the writer knows that Redis still holds what it wrote: one key a partition, gone after a flush."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from redis import Redis


class Sentinel:
    """Marks the partitions of one topic whose rows are in Redis."""

    def __init__(self, client: Redis, project: str, topic: str) -> None:
        self._client = client
        self._prefix = f"feature-writer:{project}:{topic}:"

    def missing(self, partitions: Iterable[int]) -> list[int]:
        """The partitions without a mark."""
        wanted = sorted(partitions)
        if not wanted:
            return []
        held: Any = self._client.mget([self._key(partition) for partition in wanted])
        return [partition for partition, mark in zip(wanted, held, strict=True) if mark is None]

    def mark(self, partitions: Iterable[int]) -> None:
        """Say that these partitions' rows are in Redis, or are being read again."""
        self._client.mset({self._key(partition): "1" for partition in partitions})

    def _key(self, partition: int) -> str:
        return f"{self._prefix}{partition}"
