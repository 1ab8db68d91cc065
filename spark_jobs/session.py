"""The Spark session of a job: in the warm driver where one is free, in a JVM of its own otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from contracts.engines import borrow_driver, spark_conf
from contracts.logs import RoomLog
from contracts.settings import Settings

log = RoomLog("spark_jobs")


@contextmanager
def open_session(settings: Settings, app_name: str) -> Iterator[SparkSession]:
    """A session with `contracts.engines.spark_conf`; it is stopped on leaving."""
    with borrow_driver(settings) as borrowed:
        spark = new_session(settings, app_name)
        log("spark_started", app=app_name, borrowed_driver=borrowed)
        try:
            yield spark
        finally:
            spark.stop()


def new_session(settings: Settings, app_name: str) -> SparkSession:
    """A session in whatever JVM this process is connected to."""
    builder = SparkSession.builder.appName(app_name)
    for key, value in spark_conf(settings).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()
