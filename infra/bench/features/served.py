"""`feast serve` as a process, and a client that keeps its connection."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contracts.errors import BraidError

START_SECONDS = 120.0
POLL_SECONDS = 0.2
NEVER = 2**31 - 1
"""Requests after which a worker is replaced; by default 1,000, and then the next ones would wait for the new one."""


class ServeError(BraidError):
    """`feast serve` did not start, or refused a request."""


class Served:
    """Asks `/get-online-features`."""

    def __init__(self, host: str, port: int) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=30)

    def read(self, features: Sequence[str], entities: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """The answer as it stands in the body.

        Raises:
            ServeError: it is not 200.
        """
        body = {"features": features, "entities": entities, "full_feature_names": True}
        self._http.request(
            "POST", "/get-online-features", json.dumps(body), {"content-type": "application/json"}
        )
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise ServeError(f"feast serve answered {answer.status}: {content[:500]!r}")
        found: dict[str, Any] = json.loads(content)
        return found

    def close(self) -> None:
        self._http.close()


@contextmanager
def serve(folder: Path, store: Mapping[str, Any], host: str) -> Iterator[Served]:
    """`feast serve` over `store` (a `feature_store.yaml`) on a free port, stopped on leaving.

    Raises:
        ServeError: it did not answer in time; the message says where its log is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # JSON is YAML.
    (folder / "feature_store.yaml").write_text(json.dumps(store))
    port, log = _free_port(host), folder / "serve.log"
    command = [sys.executable, "-m", "feast.cli.cli", "-c", str(folder), "serve", "--host", host]
    options = [
        "--port",
        str(port),
        "--no-access-log",
        "--max-requests",
        str(NEVER),
        "--max-requests-jitter",
        "0",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait(process, host, port, log)
        served = Served(host, port)
        yield served
        served.close()
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], host: str, port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not _healthy(host, port):
        if process.poll() is not None or time.monotonic() > until:
            raise ServeError(f"feast serve did not start; its log: {log}")
        time.sleep(POLL_SECONDS)


def _healthy(host: str, port: int) -> bool:
    probe = http.client.HTTPConnection(host, port, timeout=5)
    try:
        probe.request("GET", "/health")
        return probe.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        probe.close()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
