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
import psutil
import pytest

from contracts.clock import set_replay_clock
from contracts.settings import ROOT, Settings
from infra.stack import LocalStack
from infra.stack.ports import listeners
from scorer.client import Client, ScorerError
from scorer.wire import RankRequest, RecommendRequest
from tests.scorer.kit import NOW, publish, snapshot, unique, until, wire_event


def test_it_serves_and_stops(stack: LocalStack, settings: Settings, tmp_path: Path) -> None:
    stack.up(["redis", "kafka"])
    own = replace(settings, var=tmp_path)
    publish(own.serving, snapshot())
    set_replay_clock(own.clock_file, NOW, rate=0.0)
    with started(own) as process, httpx.Client(base_url=own.scorer_url, trust_env=False) as client:
        wait_until_ready(process, client)
        answer = client.post("/v1/placements/home:recommend", json={"visitor_id": unique("v")})
        assert (answer.status_code, len(answer.json()["results"])) == (200, 5)
        speak(own.scorer_url)
        with started(own) as second:
            _, errors = second.communicate(timeout=60)
            assert second.returncode != 0
            assert str(own.port("scorer")) in errors
        process.send_signal(signal.SIGTERM)
        # It answers on, and says that it is stopping.
        wait_until_stopping(client)
        assert client.post("/v1/placements/home:recommend", json={"visitor_id": unique("v")}).is_success
        assert process.wait(timeout=60) == 0


def test_several_workers_share_the_port_and_the_loss_of_one_costs_nothing(
    stack: LocalStack, settings: Settings, tmp_path: Path
) -> None:
    stack.up(["redis", "kafka"])
    own = replace(settings, var=tmp_path)
    publish(own.serving, snapshot())
    set_replay_clock(own.clock_file, NOW, rate=0.0)
    (tmp_path / "two.toml").write_text("[scorer]\nworkers = 2\n")
    with (
        started(own, BRAID_SETTINGS=str(tmp_path / "two.toml")) as process,
        httpx.Client(base_url=own.scorer_url, trust_env=False) as client,
    ):
        wait_until_ready(process, client)
        until(lambda: len(listening(own)) == 2)
        for _ in range(20):
            assert asked_anew(own)
        # Whichever is asked tells of both.
        until(lambda: answered(own) == 20)
        [first, second] = listening(own)
        first.kill()
        first.wait(10)
        until(lambda: second in listening(own))
        assert all(asked_anew(own) for _ in range(20))
        until(lambda: len(listening(own)) == 2)
        assert all(asked_anew(own) for _ in range(20))
        until(lambda: answered(own) == 60)
        second.suspend()  # It hangs: it is not heard of, and what is asked of it waits.
        until(lambda: not second.is_running() and len(listening(own)) == 2)
        assert all(asked_anew(own) for _ in range(20))
        with started(own) as third:
            assert third.wait(60) == 1  # The port is taken, whatever becomes of a worker.
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not listening(own)


def test_workers_end_with_their_parent_and_all_where_none_can_run(
    stack: LocalStack, settings: Settings, tmp_path: Path
) -> None:
    stack.up(["redis", "kafka"])
    own = replace(settings, var=tmp_path)
    publish(own.serving, snapshot())
    (tmp_path / "two.toml").write_text("[scorer]\nworkers = 2\n")
    two = {"BRAID_SETTINGS": str(tmp_path / "two.toml")}
    with started(own, **two) as process:
        until(lambda: len(listening(own)) == 2)
        workers = listening(own)
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)  # What they say of themselves lies unread as it dies.
        process.kill()
        assert not psutil.wait_procs(workers, 30)[1]
    (tmp_path / "policy.toml").write_text("[[rules]]\n")
    with started(own, BRAID_POLICY=str(tmp_path / "policy.toml"), **two) as process:
        assert process.wait(60) == 1
        assert not listening(own)


def asked_anew(settings: Settings) -> bool:
    """One request over a connection of its own: the kernel chooses who answers."""
    url = f"{settings.scorer_url}/v1/placements/home:recommend"
    return httpx.post(url, json={"visitor_id": "v"}, trust_env=False).is_success


def answered(settings: Settings) -> float:
    page = httpx.get(f"{settings.scorer_url}/metrics", trust_env=False).text
    lines = [line for line in page.splitlines() if line.startswith("braid_scorer_requests_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def listening(settings: Settings) -> list[psutil.Process]:
    return listeners(settings.port("scorer"))


def speak(url: str) -> None:
    """The client's every word, as a shop would use it."""
    who = unique("v")
    with Client(url) as braid:
        answer = braid.recommend("product", RecommendRequest(visitor_id=who, item_id="a", count=2))
        assert [result.item_id for result in answer.results] == ["c", "d"]
        ranked = braid.rank("search", RankRequest(visitor_id=who, items=["e", "b", "f"]))
        assert ([result.item_id for result in ranked.results], ranked.left_out) == (["b", "e"], ["f"])
        why = braid.explain("home", RecommendRequest(visitor_id=who))
        assert (why.degraded.rung, why.withheld["out of stock"]) == ("popular", 1)
        sent = braid.send([wire_event(who), wire_event(who, price="x", items=[{"item_id": ""}])])
        assert (sent.accepted, sent.rejected, sent.results[1].violations[0].field) == (
            1,
            1,
            "items[0].item_id",
        )
        assert braid.prefer(wire_event(who), "less", value="a").accepted == 1
        with pytest.raises(ScorerError, match="422 count is 101") as told:
            braid.recommend("home", RecommendRequest(visitor_id=who, count=101))
        assert told.value.problem is not None
    with Client("http://127.0.0.1:9") as nobody, pytest.raises(ScorerError, match="ConnectError"):
        nobody.recommend("home", RecommendRequest(visitor_id=who))


@contextmanager
def started(settings: Settings, **more: str) -> Iterator[subprocess.Popen[str]]:
    environment = {
        **os.environ,
        "BRAID_VAR": str(settings.var),
        "BRAID_PORT_BASE": str(settings.port_base),
        **more,
    }
    command = [sys.executable, "-m", "scorer"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_stopping(client: httpx.Client) -> None:
    deadline = time.monotonic() + 10
    while client.get("/readyz").status_code == 200:
        assert time.monotonic() < deadline
    assert client.get("/readyz").json()["missing"] == ["it is stopping"]


def wait_until_ready(process: subprocess.Popen[str], client: httpx.Client) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/readyz").status_code == 200:
                assert client.get("/healthz").status_code == 200
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the scorer is not ready (exit {process.poll()})")
