"""`make clean`: removes what Braid wrote, and never what it did not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.settings import ROOT, Settings
from infra.clean import CleanError, check, clean
from tests.ports import free_port_base


@pytest.fixture
def small(tmp_path: Path) -> Settings:
    """A `var` with a table, a log and a link to a folder elsewhere."""
    own = Settings(var=tmp_path / "var", port_base=free_port_base())
    (own.lake / "gold").mkdir(parents=True)
    own.logs.mkdir()
    (own.logs / "redis.log").write_text("started")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").write_text("dear to me")
    own.exports.symlink_to(elsewhere)
    return own


def test_all_state_goes_and_the_folder_with_it(small: Settings, tmp_path: Path) -> None:
    removed, left = clean(small)
    assert set(removed) == {small.lake, small.logs, small.exports, small.var}
    assert left == []
    assert not small.var.exists()
    assert (tmp_path / "elsewhere" / "mine").read_text() == "dear to me"
    assert clean(small) == ([], [])


def test_what_is_not_braids_stays(small: Settings) -> None:
    (small.var / "photos").mkdir()
    removed, left = clean(small)
    assert set(removed) == {small.lake, small.logs, small.exports}
    assert left == [small.var / "photos"]
    assert left[0].is_dir()


@pytest.mark.parametrize("var", [Path("/"), Path.home().resolve(), ROOT, ROOT.parent, ROOT / "infra"])
def test_a_folder_that_holds_more_is_refused(small: Settings, var: Path) -> None:
    # `check` alone: were it wrong, `clean` would remove things here.
    with pytest.raises(CleanError, match="nothing is removed"):
        check(replace(small, var=var))


def test_the_command_says_what_it_removes(small: Settings) -> None:
    (small.var / "photos").mkdir()
    env = os.environ | {
        "BRAID_VAR": str(small.var),
        "BRAID_PORT_BASE": str(small.port_base),
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "infra.cli", "clean"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert f"removed {small.lake}" in lines
    assert f"left {small.var / 'photos'}" in lines
    assert not small.lake.exists()
