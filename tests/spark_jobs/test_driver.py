"""The warm driver: one borrower at a time, a crash frees it, and without it a job has a JVM of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from contracts.engines import borrow_driver
from contracts.settings import ROOT, Settings
from infra.stack import LocalStack
from infra.stack.units import environment
from spark_jobs.driver import publish_address

# Holds a session, says whether it borrowed, and computes; dies without stopping it when told to.
JOB = """
import os, sys
from contracts.settings import from_environment
from contracts.engines import borrow_driver
from spark_jobs.session import new_session
with borrow_driver(from_environment()) as borrowed:
    with borrow_driver(from_environment()) as twice:
        assert not twice
    spark = new_session(from_environment(), "borrower")
    print(borrowed, spark.range(10).count(), flush=True)
    if sys.argv[1] == "crash":
        os._exit(1)
    spark.stop()
"""


def run_job(settings: Settings, how: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", JOB, how],
        env=environment(settings),
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    return done.stdout.strip()


def test_the_driver_is_lent_again_after_a_borrower_died(stack: LocalStack, settings: Settings) -> None:
    stack.up(["spark-driver"])
    assert settings.spark_driver.stat().st_mode & 0o077 == 0
    assert [run_job(settings, how) for how in ("stop", "crash", "stop")] == ["True 10"] * 3


def test_a_dead_driver_is_not_borrowed(settings: Settings, tmp_path: Path) -> None:
    dead = replace(settings, var=tmp_path)
    with borrow_driver(dead) as borrowed:
        assert not borrowed
    publish_address(dead.spark_driver, "127.0.0.1", 1, "secret")
    with borrow_driver(dead) as borrowed:
        assert not borrowed
