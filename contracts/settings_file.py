"""The settings file, key by key: what a cluster changes, and nothing else.

`BRAID_SETTINGS` names a TOML file. Each key of `KEYS` fills a field of `contracts.settings.Settings`; what a file leaves
out is as on a laptop. Where a key names a variable, the variable of the environment counts before the file.
Secrets are in neither: a URL with a password comes by its variable alone (`VARIABLES`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.errors import SettingsError

if TYPE_CHECKING:
    from contracts.settings import Settings


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: the field it fills, what it may be (`read` raises ValueError otherwise), its variable."""

    field: str
    says: str
    read: Callable[[Any], Any]
    variable: str | None = None


def _matching(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return read


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        number = int(value) if isinstance(value, str) and value.isdecimal() else value
        if type(number) is not int or not low <= number <= high:
            raise ValueError
        return number

    return read


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _share(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not 0 < number <= 1:
        raise ValueError
    return number


def _seconds(value: Any) -> timedelta:
    return timedelta(seconds=_whole(1, 86_400)(value))


def _folder(value: Any) -> Path:
    return Path(_matching(r"[^\0]*")(value)).resolve()


def _count(field: str, what: str, high: int = 1000) -> Key:
    return Key(field, f"give {what}, from 1 to {high}", _whole(1, high))


def _memory(field: str) -> Key:
    return Key(field, "give whole megabytes or gigabytes, as 1500m or 4g", _matching(r"[1-9]\d*[mg]"))


def _webhook(url: str) -> str | None:
    return _matching(r"https?://.*")(url) if url else None


HTTP = r"https?://[^\s/@]+(/\S*)?"
KEYS: dict[str, Key] = {
    "var": Key("var", "give a folder", _folder, "BRAID_VAR"),
    "data": Key("data", "give a folder", _folder, "BRAID_DATA"),
    "port_base": Key(
        "port_base", "give a port between 1024 and 65000", _whole(1024, 65000), "BRAID_PORT_BASE"
    ),
    "host": Key("host", "give an address to listen at, as 0.0.0.0", _matching(r"\S+")),
    "policy": Key("policy", "give the shop's policy, a TOML file", _folder, "BRAID_POLICY"),
    "runner": Key("runner", "give a name of dags.runner.RUNNERS", _matching(r"\S+"), "BRAID_RUNNER"),
    "reject_share": Key(
        "reject_share", "give a share above 0 and at most 1", _share, "BRAID_REJECT_SHARE"
    ),
    "kafka.address": Key(
        "kafka_address",
        "give host:port, several parted by commas",
        _matching(r"[^\s:,/]+:\d+(,[^\s:,/]+:\d+)*"),
    ),
    "kafka.partitions": _count("kafka_partitions", "the partitions of a topic"),
    "kafka.replication": _count("kafka_replication", "the copies of a partition", 10),
    "redis.address": Key(
        "redis_address", "give redis://host:port/0, without a password", _matching(r"rediss?://[^\s/@:]+:\d+/0")
    ),
    "scorer.address": Key("scorer_address", "give an http or https URL", _matching(HTTP)),
    "scorer.workers": _count("scorer_workers", "the scorer's processes", 64),
    "scorer.shop": Key("shop", "give true or false", _truth),
    "mlflow.address": Key("mlflow_address", "give an http or https URL", _matching(HTTP)),
    "stream.address": Key("stream_address", "give the URL of Flink's REST port", _matching(HTTP)),
    "stream.parallelism": _count("stream_parallelism", "the parallel tasks of the stream job"),
    "stream.slots": _count("stream_slots", "the slots of a TaskManager", 64),
    "stream.state": Key("stream_state", "give hashmap or rocksdb", _matching("hashmap|rocksdb")),
    "stream.heap": _memory("stream_heap"),
    "stream.idle_seconds": Key(
        "stream_idle", "give whole seconds from 1 to 86400", _seconds, "BRAID_STREAM_IDLE_SECONDS"
    ),
    "spark.master": Key(
        "spark_master",
        "give local[N], spark://host:port, or k8s where spark-submit or an operator decides",
        _matching(r"local\[([1-9]\d*|\*)\]|spark://[^\s:,/]+:\d+(,[^\s:,/]+:\d+)*|k8s"),
    ),
    "spark.driver_memory": _memory("spark_driver_memory"),
    "spark.executors": _count("spark_executors", "the executors of a job"),
    "spark.executor_memory": _memory("spark_executor_memory"),
    "spark.executor_cores": _count("spark_executor_cores", "the cores of an executor", 64),
}  # fmt: skip
VARIABLES = {
    "BRAID_ALARM_WEBHOOK": Key("alarm_webhook", "give an http or https URL", _webhook),
}
"""What only the environment may say: a webhook's URL is as good as a password."""


def fields_of(environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `Settings` that the file of `BRAID_SETTINGS` and the environment give.

    Raises:
        SettingsError: the file cannot be read, names a key that is none, or a value cannot be used.
    """
    named = environ.get("BRAID_SETTINGS")
    fields = _of_file(Path(named)) if named else {}
    keys = {key.variable: key for key in KEYS.values() if key.variable} | VARIABLES
    for variable, key in keys.items():
        if variable in environ:
            fields[key.field] = _value(key, f"{variable}={environ[variable]!r}", environ[variable])
    return fields


def _of_file(path: Path) -> dict[str, Any]:
    try:
        found = dict(_flat(tomllib.loads(path.read_text())))
    except (OSError, ValueError) as error:
        raise SettingsError(f"BRAID_SETTINGS={str(path)!r}: give a TOML file: {error}") from error
    strange = sorted(set(found) - set(KEYS))
    if strange:
        raise SettingsError(f"{path}: {strange[0]} is no setting; there are {', '.join(KEYS)}")
    return {
        KEYS[name].field: _value(KEYS[name], f"{path}: {name} = {value!r}", value)
        for name, value in found.items()
    }


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Tables in tables as dotted keys."""
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _value(key: Key, said: str, value: Any) -> Any:
    try:
        return key.read(value)
    except (ValueError, TypeError):
        raise SettingsError(f"{said}: {key.says}") from None


def text_of(settings: Settings) -> str:
    """A settings file that says all that these settings do, for the processes that they are handed on to."""
    values = {name: getattr(settings, key.field) for name, key in KEYS.items()}
    lines = (f"{name} = {_toml(value)}" for name, value in values.items() if value is not None)
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    """Strings and numbers read alike in JSON and TOML."""
    if isinstance(value, timedelta):
        return str(int(value.total_seconds()))
    return json.dumps(str(value) if isinstance(value, Path) else value)
