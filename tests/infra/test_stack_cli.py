"""The stack's commands as a person runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from contracts.settings import ROOT
from tests.ports import free_port_base


def cli(var: Path, base: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"BRAID_VAR": str(var), "BRAID_PORT_BASE": str(base), "COLUMNS": "200"}
    command = [sys.executable, "-m", "infra.cli", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_up_status_down(tmp_path: Path) -> None:
    base = free_port_base()
    try:
        up = cli(tmp_path, base, "up", "redis")
        assert up.returncode == 0, up.stderr
        shown = {line.split()[0]: line.split() for line in cli(tmp_path, base, "status").stdout.splitlines()}
        assert shown["redis"][1] == "running"
        assert shown["redis"][3:] == [str(base), str(tmp_path / "logs" / "redis.log")]
        assert shown["kafka"][1] == "stopped"
    finally:
        down = cli(tmp_path, base, "down")
    assert (down.returncode, down.stdout) == (0, "stopped\n")


def test_an_error_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    done = cli(tmp_path, free_port_base(), "up", "kafkaa")
    assert done.returncode == 1
    assert done.stderr.startswith("error: 'kafkaa' is no unit of the stack; there are redis, kafka")
    assert "Traceback" not in done.stderr
