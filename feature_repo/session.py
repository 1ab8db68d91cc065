"""The Spark session of a command: in the warm driver where one is free, else in a JVM of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from contracts.engines import borrow_driver, spark_conf
from contracts.settings import Settings


@contextmanager
def spark_session(settings: Settings) -> Iterator[SparkSession]:
    """The one session of this process; Feast's Spark store takes the active one. Stopped at the end."""
    with borrow_driver(settings):
        session = SparkSession.builder.config(map={**spark_conf(settings)}).getOrCreate()
        try:
            yield session
        finally:
            session.stop()
