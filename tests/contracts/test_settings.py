"""The settings file: what it may say, what counts before it, and what a mistake is told."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.engines import spark_conf
from contracts.errors import SettingsError
from contracts.settings import ROOT, Settings, from_environment
from contracts.settings_file import KEYS, VARIABLES, text_of

CLUSTER = ROOT / "infra" / "kubernetes" / "settings.toml"
NOT_OF_A_PLACE = {
    "publish_delay", "session_horizon", "late_horizon", "trend_disorder", "feast_project",
}  # fmt: skip
"""What an event or a feature means is the same everywhere."""


def read(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "settings.toml"
    path.write_text(text)
    return from_environment({"BRAID_SETTINGS": str(path), **environ})


def test_without_a_file_the_settings_are_the_laptops() -> None:
    assert replace(from_environment({}), data=None) == Settings()
    assert (Settings().kafka_bootstrap, Settings().redis_url) == (
        "127.0.0.1:18701",
        "redis://127.0.0.1:18700/0",
    )
    assert (Settings().flink_url, Settings().scorer_url) == (
        "http://127.0.0.1:18703",
        "http://127.0.0.1:18706",
    )


def test_a_file_changes_what_it_names_and_no_more(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"""
        var = "{tmp_path}"
        [kafka]
        address = "k1:9092,k2:9092"
        partitions = 12
        [stream]
        idle_seconds = 5
        """,
    )
    assert replace(found, data=None) == Settings(
        var=tmp_path.resolve(),
        kafka_address="k1:9092,k2:9092",
        kafka_partitions=12,
        stream_idle=timedelta(seconds=5),
    )
    assert found.kafka_bootstrap == "k1:9092,k2:9092"


def test_the_environment_counts_before_the_file(tmp_path: Path) -> None:
    text = 'port_base = 2000\nhost = "0.0.0.0"\n'
    found = read(tmp_path, text, BRAID_PORT_BASE="3000", BRAID_REJECT_SHARE="0.5")
    assert (found.port_base, found.host, found.reject_share) == (3000, "0.0.0.0", 0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kafka.adress = 'k:1'", r"kafka.adress is no setting; there are var, .*kafka.address"),
        ("kafka = 'k:1'", r"kafka is no setting"),
        ("kafka.address = 'kafka'", r"kafka.address = 'kafka': give host:port"),
        ("kafka.partitions = 0", r"kafka.partitions = 0: give the partitions of a topic, from 1 to 1000"),
        ("kafka.partitions = true", r"kafka.partitions = True: give"),
        ("redis.address = 'redis://:secret@r:1/0'", r"redis.address = .*without a password"),
        ("spark.master = 'yarn'", r"spark.master = 'yarn': give local\[N\], spark://host:port, or k8s"),
        ("spark.executor_memory = '4 GB'", r"spark.executor_memory = '4 GB': give whole mega"),
        ("reject_share = 2", r"reject_share = 2: give a share"),
        ("stream.address = 'flink:8081'", r"stream.address = 'flink:8081': give the URL of Flink's REST port"),
        ("alarm_webhook = 'https://a/b'", r"alarm_webhook is no setting"),
        ("var =", r"BRAID_SETTINGS='.*settings.toml': give a TOML file: "),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_to_give(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=says):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=f"BRAID_SETTINGS='{tmp_path}/none': give a TOML file: .*No such file"
    ):
        from_environment({"BRAID_SETTINGS": str(tmp_path / "none")})


def test_every_field_is_a_key_of_the_file_or_the_same_everywhere() -> None:
    named = {key.field for key in (*KEYS.values(), *VARIABLES.values())}
    assert named | NOT_OF_A_PLACE == {field.name for field in fields(Settings)}
    assert not named & NOT_OF_A_PLACE


def test_settings_that_are_handed_on_arrive_unchanged(tmp_path: Path) -> None:
    given = replace(from_environment({"BRAID_SETTINGS": str(CLUSTER)}), data=tmp_path.resolve())
    assert given != replace(Settings(), data=given.data)
    assert read(tmp_path, text_of(given)) == given


def test_what_spark_is_told_follows_the_master() -> None:
    laptop = spark_conf(Settings())
    workers = spark_conf(Settings(spark_master="spark://m:7077", spark_executors=3, spark_executor_cores=2))
    pods = spark_conf(Settings(spark_master="k8s", spark_driver_memory="3g"))
    assert laptop["spark.master"] == "local[2]"
    assert not [key for key in laptop if key.startswith("spark.executor")]
    assert (workers["spark.master"], workers["spark.cores.max"]) == ("spark://m:7077", "6")
    assert workers["spark.executor.extraClassPath"] == workers["spark.driver.extraClassPath"]
    # Where the driver runs is what submitted it knows.
    assert not {"spark.master", "spark.driver.host", "spark.driver.bindAddress", "spark.local.dir"} & set(
        pods
    )
    assert (pods["spark.driver.memory"], pods["spark.executor.instances"]) == ("3g", "2")
    same = {key for key in laptop if key.startswith("spark.sql") or "databricks" in key}
    assert {key: pods[key] for key in same} == {key: workers[key] for key in same} == {
        key: laptop[key] for key in same
    }  # fmt: skip
