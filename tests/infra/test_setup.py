"""`make setup` and the Makefile: does nothing twice, says what to install, lists what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from contracts.settings import ROOT

SETUP = ROOT / "infra" / "setup" / "setup.sh"
TOOLS = [
    "bash",
    "cat",
    "chromium",
    "cut",
    "dirname",
    "env",
    "find",
    "flock",
    "head",
    "id",
    "java",
    "javac",
    "mkdir",
    "mvn",
    "python3",
    "sed",
    "sha256sum",
    "sort",
    "tr",
    "uname",
]


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=env or None, capture_output=True, text=True, check=False)


def test_a_second_run_does_nothing() -> None:
    assert run(SETUP).returncode == 0
    assert run(SETUP).stdout == "setup: ready\n"


def test_a_missing_program_is_named_where_it_cannot_be_installed(tmp_path: Path) -> None:
    # A machine with every tool but redis-server, and neither apt-get nor sudo.
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (tmp_path / tool).symlink_to(found)
    done = run(SETUP, PATH=str(tmp_path))
    assert done.returncode == 1
    assert re.search(r"setup: please install.*: redis-server\n", done.stderr), done.stderr


def test_help_lists_every_target() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    listed = re.findall(r"^  make (\S+) +\S", run("make", "help").stdout, re.MULTILINE)
    assert listed == declared.group(1).split()


def test_the_jars_are_there_and_pinned() -> None:
    names = {path.name for path in (ROOT / "jars").glob("*/*.jar")}
    # Spark loads every jar it is given: a second version of one library would be chance.
    for engine in ("spark", "flink", "kafka"):
        stems = [re.sub(r"-\d.*$", "", path.name) for path in (ROOT / "jars" / engine).glob("*.jar")]
        assert len(stems) == len(set(stems)), stems
    assert {"delta-spark_4.2_2.13-4.4.0.jar", "kafka_2.13-4.2.0.jar", "braid-flink-0.1.0.jar"} <= names
