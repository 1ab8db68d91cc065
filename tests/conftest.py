"""Fixtures of every room: own settings, one local stack of real servers, one Spark session."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

# Before Feast, which on import turns prometheus-client to counters that all registries of a process share.
import prometheus_client.values  # noqa: F401
import pytest

from contracts.engines import spark_conf
from contracts.settings import ROOT, Settings, from_environment
from infra.stack import LocalStack
from tests.ports import free_port_base

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

os.environ["PYSPARK_PYTHON"] = sys.executable
os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TZ"] = "UTC"


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
def spark(settings: Settings) -> Iterator[SparkSession]:
    """One local Spark for all tests, with the jobs' own configuration and a smaller heap."""
    from pyspark.sql import SparkSession

    assert any((ROOT / "jars" / "spark").glob("*.jar")), "jars/spark is empty: run `make setup`"
    builder = SparkSession.builder.appName("tests")
    for key, value in (spark_conf(settings) | {"spark.driver.memory": "1g"}).items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
