"""Fixtures of every room: own settings, one local stack of real servers, one Spark session."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from contracts.settings import PORTS, ROOT, Settings, from_environment
from infra.stack import LocalStack
from infra.stack.ports import all_free

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TZ"] = "UTC"

# Below the range that the kernel hands out to clients.
FIRST_PORT, LAST_PORT = 20_000, 32_000


def free_port_base(host: str = "127.0.0.1") -> int:
    """The first port of a block that is free from the first of `PORTS` to the last."""
    while True:
        base = random.SystemRandom().randrange(FIRST_PORT, LAST_PORT - len(PORTS))
        if all_free(host, range(base, base + len(PORTS))):
            return base


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a `var` and ports of this test session's own; the real data where it is found."""
    return replace(
        from_environment(), var=tmp_path_factory.mktemp("var").resolve(), port_base=free_port_base()
    )


@pytest.fixture(scope="session")
def stack(settings: Settings) -> Iterator[LocalStack]:
    """The session's stack: a test starts what it needs with `stack.up([...])`; all of it ends with the session."""
    local = LocalStack(settings)
    try:
        yield local
    finally:
        local.down()


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One local Spark for all tests, with Delta and the Kafka source."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in spark_options(tmp_path_factory.mktemp("spark")).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def spark_options(folder: Path) -> dict[str, str]:
    """Small, quiet and in UTC."""
    jars = sorted((ROOT / "jars" / "spark").glob("*.jar"))
    assert jars, "jars/spark is empty: run `make setup`"
    return {
        "spark.jars": ",".join(map(str, jars)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -Duser.timezone=UTC -Dderby.system.home={folder}",
        "spark.ui.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
    }
