"""Order of start and stop, and the rendered configuration: no processes."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.settings import Settings
from flink_jobs.job import stream_job
from infra.stack import DEFAULT, LocalStack, StackError, Unit
from infra.stack.flink import cluster_config
from infra.stack.supervisor import render
from infra.stack.unit import stop_waves, with_dependencies
from infra.stack.units import all_units, environment


def unit(name: str, *depends_on: str) -> Unit:
    return Unit(name=name, command=("true",), healthy=lambda: True, depends_on=depends_on)


UNITS = {one.name: one for one in (unit("a"), unit("b", "a"), unit("c", "b", "a"), unit("d"))}


def test_dependencies_come_first_and_once() -> None:
    assert [one.name for one in with_dependencies(UNITS, ("c", "b"))] == ["a", "b", "c"]


def test_who_depends_stops_first() -> None:
    # c needs b needs a; d is needed by no one and needs no one, so it goes in the first wave.
    assert stop_waves(UNITS, {"a", "b", "c", "d"}) == [["c", "d"], ["b"], ["a"]]


def test_a_circle_is_named() -> None:
    circle = {"a": unit("a", "b"), "b": unit("b", "a")}
    with pytest.raises(StackError, match="circle: a -> b -> a"):
        with_dependencies(circle, ("a",))


def test_every_unit_listens_on_its_own_ports() -> None:
    ports = [port for one in all_units(Settings()).values() for port in one.ports]
    assert len(ports) == len(set(ports))
    assert set(DEFAULT) <= set(all_units(Settings()))


def test_what_the_stream_job_sets_the_cluster_does_not() -> None:
    job = set(stream_job(Settings()).options)
    assert "execution.checkpointing.interval" in job
    assert not job & set(cluster_config(Settings()))


def test_configuration_survives_odd_characters(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "100% mine")
    text = render(settings, list(all_units(settings).values()), environment(settings), "secret")
    config = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"))
    config.read_string(text)
    programs = [section for section in config.sections() if section.startswith("program:")]
    assert len(programs) == len(all_units(settings))
    for section in programs:
        # supervisord expands %(name)s itself: a bare % would stop it, "%%" is one.
        for value in config[section].values():
            assert "%" not in value.replace("%%", "")
        assert config[section]["autostart"] == config[section]["autorestart"] == "false"


@pytest.mark.parametrize(
    ("field", "address", "unit"),
    [
        ("kafka_address", "kafka:9092", "gateway"),
        ("redis_address", "redis://redis:6379/0", "feature-writer"),
        ("stream_address", "http://flink:8081", "flink-job"),
        ("scorer_address", "http://scorer:80", "scorer"),
    ],
)
def test_what_the_settings_have_elsewhere_is_not_started_here(
    field: str, address: str, unit: str, tmp_path: Path
) -> None:
    away = replace(Settings(var=tmp_path), **{field: address})
    with pytest.raises(StackError, match=f"the settings say that it runs at {address}"):
        LocalStack(away).up([unit])
    assert list(tmp_path.iterdir()) == []
