"""Which cut a run is for: one function, whatever started the run."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from contracts.errors import SettingsError

KEY_FORMAT = "%Y-%m-%d"
"""A partition key of `daily` is the cut's date."""


def cut_of(partition_key: str | None, logical_date: datetime | None) -> date:
    """The cut of a run: its partition key, else (`airflow dags test daily D`) its logical date.

    Raises:
        SettingsError: the run has neither, or its key is not a date.
    """
    if partition_key is not None:
        return _read(partition_key, "partition key")
    if logical_date is not None:
        return logical_date.date()
    raise SettingsError("this run names no cut: trigger it with a partition key such as 2011-08-30")


def training_cut(asked: str | None, run_after: datetime) -> date:
    """The cut to train on: the `cut` parameter, else the newest one ended when the run is due.

    Raises:
        SettingsError: the parameter is not a date.
    """
    if asked:
        return _read(asked, "parameter cut")
    return run_after.date() - timedelta(days=1)


def _read(text: str, name: str) -> date:
    try:
        return datetime.strptime(text, KEY_FORMAT).date()
    except ValueError:
        raise SettingsError(f"{name} {text!r} is no date: give it as 2011-08-30") from None
