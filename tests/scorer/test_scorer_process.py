"""`python -m scorer` as a process: it answers over HTTP, ends well, and names a port that is taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx

from contracts.clock import set_replay_clock
from contracts.settings import ROOT, Settings
from infra.stack import LocalStack
from tests.scorer.kit import NOW, publish, snapshot, unique


def test_it_serves_and_stops(stack: LocalStack, settings: Settings, tmp_path: Path) -> None:
    stack.up(["redis", "kafka"])
    own = replace(settings, var=tmp_path)
    publish(own.serving, snapshot())
    set_replay_clock(own.clock_file, NOW, rate=0.0)
    with started(own) as process, httpx.Client(base_url=own.scorer_url, trust_env=False) as client:
        wait_until_alive(process, client)
        assert client.get("/readyz").status_code == 200
        answer = client.post("/v1/placements/home:recommend", json={"visitor_id": unique("v")})
        assert (answer.status_code, len(answer.json()["results"])) == (200, 5)
        with started(own) as second:
            _, errors = second.communicate(timeout=60)
            assert second.returncode != 0
            assert str(own.port("scorer")) in errors
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


@contextmanager
def started(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "BRAID_VAR": str(settings.var),
        "BRAID_PORT_BASE": str(settings.port_base),
    }
    command = [sys.executable, "-m", "scorer"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_alive(process: subprocess.Popen[str], client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the scorer is not alive (exit {process.poll()})")
