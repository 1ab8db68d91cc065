"""Calls that wait for Redis and Kafka to be there again, until the writer is told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from confluent_kafka import KafkaException
from redis.exceptions import RedisError

from contracts.logs import RoomLog
from feature_repo.metrics import WriterMetrics

log = RoomLog("feature_repo")
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
WRONG_TYPE = "WRONGTYPE"
Result = TypeVar("Result")


class StoppedError(Exception):
    """The writer was told to stop while it waited."""


class WrongTypeError(ValueError):
    """Where a row should go lies something that is no hash, which no waiting mends."""


@dataclass(slots=True)
class Stop:
    """Set by a signal handler, looked at by the loop."""

    wanted: bool = False


@dataclass(slots=True)
class Patience:
    """Both waits of one writer."""

    metrics: WriterMetrics
    stop: Stop = field(default_factory=Stop)

    def redis(self, call: Callable[[], Result]) -> Result:
        """`call`, again and again with growing pauses while Redis is away.

        Raises:
            StoppedError: the writer was told to stop meanwhile.
            WrongTypeError: a key holds something that is no hash.
        """
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except RedisError as error:
                if str(error).startswith(WRONG_TYPE):
                    raise WrongTypeError(str(error)) from error
                if self.stop.wanted:
                    raise StoppedError from error
                self.metrics.retries.inc()
                log("redis does not answer", "warning", reason=str(error), pause_seconds=pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def kafka(self, call: Callable[[], Result]) -> Result:
        """`call`, again and again while the broker is away.

        Raises:
            StoppedError: the writer was told to stop meanwhile.
        """
        while True:
            try:
                return call()
            except KafkaException as error:
                if self.stop.wanted:
                    raise StoppedError from error
                log("kafka does not answer", "warning", reason=str(error))
            time.sleep(FIRST_PAUSE_SECONDS)
