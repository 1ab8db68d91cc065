"""One Spark configuration for every room, and the warm driver that short jobs borrow.

Starting a driver JVM and loading Spark's and Delta's classes takes longer than most daily jobs. `spark_jobs.driver`
keeps one JVM warm and writes how to reach it (port and secret, so the file is for its owner only) to
`Settings.spark_driver`. Whoever holds the lock beside that file is the JVM's one application; everybody else, and
everybody when no driver runs, starts a JVM of their own. A configuration means the same in both.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from contracts.settings import ROOT, Settings

KUBERNETES = "k8s"
"""The `spark_master` of a job whose driver an operator starts."""
PORT_VARIABLE = "PYSPARK_GATEWAY_PORT"
SECRET_VARIABLE = "PYSPARK_GATEWAY_SECRET"  # noqa: S105  (a name, not a secret)
JARS = ROOT / "jars" / "spark"
MASTER, DRIVER_HEAP = Settings().spark_master, Settings().spark_driver_memory
"""The laptop's."""
SHUFFLE_PARTITIONS = "spark.sql.shuffle.partitions"
PARTITION_BYTES = 4 * 2**20
"""Of compressed columns a shuffle partition takes: about 75,000 events, which as rows, twice, fit beside each other in
`DRIVER_HEAP`, and of which fewer groups come than an aggregate of lists keeps in memory."""
LEAST_PARTITIONS = 2


def spark_conf(settings: Settings) -> dict[str, str]:
    """Every Spark property that a job of Braid sets, the JVM's own among them."""
    return {
        **_driver_conf(settings),
        **({} if settings.spark_master.startswith("local") else _executor_conf(settings)),
        **({} if settings.spark_master == KUBERNETES else _place_conf(settings)),
        **_sql_conf(settings),
    }


def _driver_conf(settings: Settings) -> dict[str, str]:
    """In local mode the driver is the executor: jars stand on its class path, so that no application copies them."""
    return {
        "spark.driver.memory": settings.spark_driver_memory,
        "spark.driver.extraClassPath": str(JARS / "*"),
        "spark.driver.extraJavaOptions": _java_options(settings),
        "spark.pyspark.python": sys.executable,
        "spark.log.level": "ERROR",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }


def _executor_conf(settings: Settings) -> dict[str, str]:
    """Executors find jars and rooms where the driver does: every machine, or image, has the project in one place."""
    return {
        "spark.executor.instances": str(settings.spark_executors),
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.executor.cores": str(settings.spark_executor_cores),
        "spark.cores.max": str(settings.spark_executors * settings.spark_executor_cores),
        "spark.executor.extraClassPath": str(JARS / "*"),
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.executorEnv.PYTHONPATH": str(ROOT),
    }


def _place_conf(settings: Settings) -> dict[str, str]:
    """Where the driver runs and is found; on Kubernetes whoever submits the job knows."""
    return {
        "spark.master": settings.spark_master,
        "spark.driver.host": settings.host,
        "spark.driver.bindAddress": settings.host,
        "spark.local.dir": str(settings.var / "spark" / "local"),
    }


def _java_options(settings: Settings) -> str:
    """Most jobs end before the second compiler pays off; on two cores it would only take their time.

    Alone, the first has room for 48 MB of code, which a warm driver fills after a few jobs: then nothing is compiled.
    """
    options = (
        "-XX:TieredStopAtLevel=1",
        "-XX:ReservedCodeCacheSize=240m",
        "-XX:+UseParallelGC",
        "-Duser.timezone=UTC",
    )
    return " ".join((*options, f"-Dderby.system.home={settings.var / 'spark' / 'derby'}"))


def _sql_conf(settings: Settings) -> dict[str, str]:
    """A day is small: few partitions, no re-planning, a snapshot's log read as one piece."""
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.warehouse.dir": str(settings.var / "spark" / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        SHUFFLE_PARTITIONS: str(LEAST_PARTITIONS),
        # A broadcast is made while the rest of its query waits, be it a million rows on a busy machine.
        "spark.sql.broadcastTimeout": "3600",
        "spark.sql.adaptive.enabled": "false",
        # Lists per user or item: the default sorts all rows beyond 128 groups.
        "spark.sql.objectHashAggregate.sortBased.fallbackThreshold": "100000",
        # Days are small files: many of them make one task.
        "spark.sql.files.openCostInBytes": "65536",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.properties.defaults.checkpointInterval": "50",
    }


def shuffle_partitions(*tables: Path) -> str:
    """For `SHUFFLE_PARTITIONS`: what the largest of these folders of Parquet files asks for; a day's few stay at two."""
    sizes = (sum(file.stat().st_size for file in table.rglob("*.parquet")) for table in tables)
    return str(max(LEAST_PARTITIONS, -(-max(sizes) // PARTITION_BYTES)))


@contextmanager
def borrow_driver(settings: Settings) -> Iterator[bool]:
    """Let the next SparkSession of this process run in the warm driver, if one is free; yields whether it will.

    On leaving, whatever Spark application is left is stopped and the driver is free for the next borrower.
    """
    # PySpark reads it when a context is made; without it the functions would run in whatever `python3` is.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    lock = _locked(settings.spark_driver)
    if lock is None:
        yield False
        return
    with lock:
        _forget_gateway()
        os.environ.update(_address(settings.spark_driver) or {})
        try:
            _stop_application()
            yield True
        finally:
            _stop_application()
            _forget_gateway()
            for name in (PORT_VARIABLE, SECRET_VARIABLE):
                os.environ.pop(name, None)


def _locked(driver: Path) -> TextIO | None:
    """The open lock file if a live driver is free and no Spark runs in this process yet, else None."""
    if _address(driver) is None or _application_runs_here():
        return None
    lock = driver.with_suffix(".lock").open("w")
    with suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _address(driver) is not None:
            return lock
    lock.close()
    return None


def _address(driver: Path) -> dict[str, str] | None:
    """The variables that lead PySpark to the driver's gateway; None when nothing answers there."""
    try:
        found = json.loads(driver.read_text())
        with socket.create_connection((found["host"], found["port"]), timeout=2.0):
            return {PORT_VARIABLE: str(found["port"]), SECRET_VARIABLE: found["secret"]}
    except (OSError, ValueError, KeyError):
        return None


def _application_runs_here() -> bool:
    return "pyspark" in sys.modules and _context_class()._active_spark_context is not None


def _stop_application() -> None:
    """Stop the driver's application: this process's own, or one that a killed borrower left behind."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession() if _application_runs_here() else None
    if session is not None:
        session.stop()
    context = _context_class()
    if context._active_spark_context is not None:
        context._active_spark_context.stop()
    context._ensure_initialized()
    companion = getattr(context._jvm.org.apache.spark, "SparkContext$")
    left = getattr(companion, "MODULE$").getActive()
    if left.isDefined():
        left.get().stop()
    context._jvm.org.apache.spark.sql.classic.SparkSession.clearDefaultSession()


def _forget_gateway() -> None:
    """Make PySpark look for a JVM anew; the connection is closed, the JVM at its other end lives on."""
    context = _context_class()
    if context._gateway is not None:
        _hang_up_callbacks(context._gateway)
        context._gateway.shutdown_callback_server()
        context._gateway.close()
    context._gateway = None
    context._jvm = None


def _hang_up_callbacks(gateway: Any) -> None:
    """End the JVM's calls into this process (`foreachBatch` has them): closing a stream that another thread still
    reads would wait for that thread for ever."""
    server = gateway.get_callback_server()
    for connection in () if server is None else list(server.connections):
        if connection.socket is not None:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)


def _context_class() -> Any:
    from pyspark import SparkContext

    return SparkContext
