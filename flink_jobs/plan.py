"""The plan of the job, made by Flink's own planner in a JVM of its own; no cluster is needed."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

from flink_jobs.job import ENTRY_CLASS, Job
from flink_jobs.rest import ClusterError, told


def explain(job: Job, jars: Path) -> str:
    """Flink's EXPLAIN with the changelog mode of every operator.

    Raises:
        ClusterError: the planner refuses the SQL.
    """
    path = f"{flink_lib()}/*:{jars}/*"
    words = ["java", "-Xmx512m", "-cp", path, ENTRY_CLASS, *job.arguments, "--explain", "true"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise ClusterError(f"the planner refuses the SQL: {told(done.stderr)}")
    return done.stdout


def flink_lib() -> Path:
    """The jars of Flink itself, which the apache-flink wheel carries."""
    spec = find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise ClusterError("apache-flink is not installed: run `make setup`")
    return Path(spec.origin).parent / "lib"
