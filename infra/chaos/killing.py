"""One kill, and how long until an event that was sent after it can be read."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.adapters.wire import Record
from contracts.clock import to_rfc3339
from contracts.errors import BraidError
from contracts.events import PURPOSES, SCHEMA_VERSION
from contracts.settings import Settings
from flink_jobs.job import JOB_NAME
from flink_jobs.rest import Cluster, ClusterError
from flink_jobs.state import job_states
from infra.chaos.check import store_is_whole
from infra.chaos.plan import CHECKPOINT, LOSE, Kill
from infra.load.online import events_seen_reader
from infra.publish import Sender
from infra.stack import LocalStack

UNITS = ("redis", "kafka", "flink-job", "gateway", "feature-writer")
LIMIT_SECONDS = 180.0
CHECKPOINT_SECONDS = 30.0
POLL_SECONDS = 0.05
PROBES = 16
"""Of four partitions each has one, but for one time in 25."""


class ChaosError(BraidError):
    """The stack did not come back."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What was killed, whether a checkpoint was being made, and how long until an event of after it was readable."""

    unit: str
    how: str
    in_checkpoint: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Killer:
    """Kills units of one stack and brings them back."""

    settings: Settings
    stack: LocalStack

    def kill(self, kill: Kill, number: int) -> Killed:
        """Kill, start what is dead, and wait until a probe is readable.

        Raises:
            ChaosError: it is not, after three minutes.
        """
        # Known before: a small checkpoint is soon over.
        pid = next(status.pid for status in self.stack.status() if status.name == kill.unit)
        in_checkpoint = kill.how == CHECKPOINT and self._begin_checkpoint()
        os.kill(int(pid or 0), signal.SIGKILL)
        killed_at = time.perf_counter()
        _wait(lambda: not _alive(int(pid or 0)), f"{kill.unit} does not die")
        if kill.how == LOSE:
            shutil.rmtree(self.settings.var / "redis")
        self.stack.up(list(UNITS))
        self._probe(number)
        return Killed(kill.unit, kill.how, in_checkpoint, round(time.perf_counter() - killed_at, 2))

    def _begin_checkpoint(self) -> bool:
        """Have Flink begin one; returns as soon as it is under way, and whether it was seen so."""
        cluster = Cluster(self.settings.flink_url)
        deadline = time.monotonic() + CHECKPOINT_SECONDS
        while time.monotonic() < deadline:
            try:
                (job,) = job_states(cluster, JOB_NAME)
                cluster.post(f"/jobs/{job.job_id}/checkpoints", {})
                for _ in range(40):
                    counts = cluster.get(f"/jobs/{job.job_id}/checkpoints")["counts"]
                    if counts["in_progress"]:
                        return True
            except (ClusterError, ValueError):
                time.sleep(POLL_SECONDS)
        return False

    def _probe(self, number: int) -> None:
        """Events of shoppers of their own, enough to lie in every partition, through everything; and the store is whole again."""
        visitors = [f"probe-{number}-{n}" for n in range(PROBES)]
        sender, read = Sender(self.settings), events_seen_reader(self.settings)
        for visitor in visitors:
            sender.send(_probe_event(visitor))
        sender.flush()

        def readable() -> bool:
            try:
                return set(read([(visitor, "s") for visitor in visitors])) == {1} and store_is_whole(
                    self.settings
                )
            except Exception:
                # Redis is loading, or away again.
                return False

        _wait(readable, "the event after the kill is not readable")


def _probe_event(visitor: str) -> Record:
    moment = to_rfc3339(datetime.now(UTC))
    consent: dict[str, Any] = {**dict.fromkeys(PURPOSES, "granted"), "changed_at": moment}
    return {
        "event_id": "e1",
        "event_name": "page_view",
        "schema_version": SCHEMA_VERSION,
        "event_time": moment,
        "received_time": moment,
        "visitor_id": visitor,
        "session_id": "s",
        "platform": "web",
        "consent": consent,
    }


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait(done: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise ChaosError(f"{otherwise}: not after {LIMIT_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
