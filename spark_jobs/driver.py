"""`python -m spark_jobs.driver`: keeps one driver JVM warm for short jobs (see `contracts.engines`).

The JVM is PySpark's own gateway server. This process writes how to reach it to `Settings.spark_driver`, readable by
its owner only, and listens on the port `spark_driver`, so that a health check sees it live. It ends when the JVM
does, and the JVM ends when this process does (its standard input closes), however that happens.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from contracts.engines import PORT_VARIABLE, SECRET_VARIABLE, spark_conf
from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import Settings, from_environment

log = RoomLog("spark_jobs")

START_SECONDS = 60
POLL_SECONDS = 0.1
WARM_UP = (sys.executable, "-m", "spark_jobs.warm_up")


class DriverError(BraidError):
    """The driver JVM did not start."""


@contextmanager
def gateway_jvm(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], int, str]]:
    """The running JVM, its gateway's port and its secret; leaving ends the JVM.

    Raises:
        DriverError: the JVM ended, or named no port in time.
    """
    folder = Path(tempfile.mkdtemp(prefix="braid-driver-"))
    jvm = subprocess.Popen(
        _command(spark_conf(settings)),
        stdin=subprocess.PIPE,
        env={**os.environ, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(folder / "info"), "SPARK_CONNECT_MODE": "0"},
        start_new_session=True,
    )
    try:
        port, secret = _connection(folder / "info", jvm)
        yield jvm, port, secret
    finally:
        jvm.kill()
        jvm.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _command(conf: Mapping[str, str]) -> list[str]:
    import pyspark

    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    return [str(submit), *options, "pyspark-shell"]


def _connection(info: Path, jvm: subprocess.Popen[bytes]) -> tuple[int, str]:
    """What the JVM wrote: a 4-byte port, a 4-byte length and the secret."""
    deadline = time.monotonic() + START_SECONDS
    while not info.is_file():
        if jvm.poll() is not None or time.monotonic() > deadline:
            raise DriverError(f"the Spark driver JVM gave no port (exit code {jvm.poll()})")
        time.sleep(POLL_SECONDS)
    data = info.read_bytes()
    return int.from_bytes(data[:4], "big"), data[8 : 8 + int.from_bytes(data[4:8], "big")].decode()


def publish_address(path: Path, host: str, port: int, secret: str) -> None:
    """Write the file that borrowers read, complete at once and for the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump({"host": host, "port": port, "secret": secret, "pid": os.getpid()}, out)
    fresh.replace(path)


def serve(settings: Settings, jvm: subprocess.Popen[bytes]) -> None:
    """Answer health checks until the JVM ends."""
    with socket.create_server((settings.host, settings.port("spark_driver"))) as door:
        door.settimeout(1.0)
        while jvm.poll() is None:
            try:
                door.accept()[0].close()
            except TimeoutError:
                continue


def warm_up(port: int, secret: str) -> None:
    """Let a child process run one small job in the JVM, before anybody may borrow it."""
    address = {PORT_VARIABLE: str(port), SECRET_VARIABLE: secret}
    try:
        subprocess.run(WARM_UP, env={**os.environ, **address}, timeout=START_SECONDS, check=True)
    except subprocess.SubprocessError as error:
        log("warm_up_failed", error=str(error))


def main() -> int:
    """Run until the JVM ends or SIGTERM comes."""
    settings = from_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with gateway_jvm(settings) as (jvm, port, secret):
            warm_up(port, secret)
            publish_address(settings.spark_driver, settings.host, port, secret)
            log("driver_ready", jvm=jvm.pid, port=port)
            serve(settings, jvm)
            log("driver_ended", code=jvm.returncode)
    except DriverError as error:
        log("driver_failed", error=str(error))
    finally:
        settings.spark_driver.unlink(missing_ok=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
