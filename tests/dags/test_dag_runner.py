"""The runner with real processes: a small project with rooms that end as they are told."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import psutil
import pytest

from contracts.errors import BraidError, GateError, SettingsError
from dags.runner import CommandError, ProcessRunner, run_command, runner_named

ROOM = """
import os, signal, sys, time
print("cut", sys.argv[1], flush=True)
print("sees", sorted(name for name in os.environ if name.startswith(("AIRFLOW", "BRAID"))), flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one room, `room`, run by this Python."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "room.py").write_text(ROOM)
    return tmp_path


def run(root: Path, code: str) -> list[str]:
    lines: list[str] = []
    environ = {"BRAID_VAR": "/v", "AIRFLOW__API_AUTH__JWT_SECRET_CMD": "cat it", "AIRFLOW_HOME": "/a"}
    run_command(ProcessRunner(root, environ), ["room", code], lines.append)
    return lines


def test_output_goes_to_the_log_and_airflows_secrets_stay_behind(root: Path) -> None:
    assert run(root, "0") == ["cut 0", "sees ['BRAID_VAR']"]


@pytest.mark.parametrize(("code", "error"), [("3", GateError), ("2", SettingsError), ("1", CommandError)])
def test_the_exit_code_says_whether_another_try_helps(root: Path, code: str, error: type[BraidError]) -> None:
    with pytest.raises(error, match=f"python -m room {code} ended with code {code}") as raised:
        run(root, code)
    assert f"cut {code}" in str(raised.value)  # the end of the output stands in the message


def test_stop_ends_the_command(root: Path) -> None:
    runner, started = ProcessRunner(root, {}), threading.Event()
    ended: list[int] = []
    waiting = threading.Thread(
        target=lambda: ended.append(runner.run(["room", "wait"], lambda line: started.set()))
    )
    waiting.start()
    assert started.wait(60)
    runner.stop()
    waiting.join(60)
    assert ended == [-15]
    assert not [child for child in psutil.Process().children() if "room" in " ".join(child.cmdline())]


def test_a_runner_that_is_not_declared_is_named() -> None:
    with pytest.raises(SettingsError, match="BRAID_RUNNER='pods' is not declared; known are process"):
        runner_named("pods")
