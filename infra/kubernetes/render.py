"""Renders the manifests of Spark and Flink, which want to know some settings before a process of ours can read them.

Everything else reads the settings file itself, so a change of `settings.toml` needs a new rendering of these two alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from contracts.engines import spark_conf
from contracts.settings import ROOT, Settings, from_environment
from infra.stack.flink import MANAGED, WATCH, mebibytes

HERE = Path(__file__).parent
SETTINGS = HERE / "settings.toml"
IMAGE_ROOT = "/opt/braid"
"""Where every image has the project, and in it the environment of its one group."""
AT_START = ("spark.driver.", "spark.executor", "spark.pyspark.")
"""Properties of a JVM that is there before the session; the job sets the others itself."""
OTHER_MIB = 1024
"""Metaspace, network, JVM overhead."""
EXAMPLE_CUT = date(2011, 8, 30)


@dataclass(frozen=True, slots=True)
class Application:
    """One run of Spark jobs, as the rooms' command names it."""

    cut: date = EXAMPLE_CUT
    jobs: str = "bronze,silver,gold"


def cluster_settings(path: Path = SETTINGS) -> Settings:
    """The settings that the cluster's pods read."""
    return from_environment({"BRAID_SETTINGS": str(path)})


def manifests(settings: Settings) -> dict[str, str]:
    """Every rendered file by its name."""
    return {
        "spark-application.yaml": spark_application(settings, Application()),
        "flink-deployment.yaml": _render(
            "flink-deployment.yaml.j2",
            {"settings": settings, "watch": WATCH, "taskmanager_mib": taskmanager_mib(settings)},
        ),
    }


def taskmanager_mib(settings: Settings) -> int:
    """A TaskManager's whole memory: half of it is heap by Flink's own shares, and managed memory comes beside that."""
    return 2 * mebibytes(settings.stream_heap) + MANAGED[settings.stream_state] + OTHER_MIB


def spark_application(settings: Settings, application: Application) -> str:
    """The `SparkApplication` of one run; a run has a name of its own, so that each is kept."""
    values = {"application": application, "spark_conf": start_conf(settings), "root": IMAGE_ROOT}
    return _render("spark-application.yaml.j2", values)


def start_conf(settings: Settings) -> dict[str, str]:
    """What the operator has to hand to the driver's JVM and to executors, with the image's paths."""
    here = {str(ROOT): IMAGE_ROOT, sys.executable: f"{IMAGE_ROOT}/.venv/bin/python"}
    found = {key: value for key, value in spark_conf(settings).items() if key.startswith(AT_START)}
    return {key: _replaced(value, here) for key, value in found.items()}


def _replaced(text: str, by: Mapping[str, str]) -> str:
    """Longer names first: the interpreter lies in the project."""
    for old in sorted(by, key=len, reverse=True):
        text = text.replace(old, by[old])
    return text


def _render(template: str, values: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (YAML, no markup)
    )
    return environment.get_template(template).render(values)


def write(folder: Path = HERE) -> None:
    """Write what is rendered beside the settings."""
    for name, text in manifests(cluster_settings()).items():
        (folder / name).write_text(text)


def stale(folder: Path = HERE) -> list[str]:
    """The files that are not what would be rendered now."""
    wanted = manifests(cluster_settings())
    return [
        name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text() != text
    ]
