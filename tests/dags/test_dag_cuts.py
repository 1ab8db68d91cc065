"""A run's cut, whatever started the run."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from contracts.errors import SettingsError
from dags.cuts import cut_of, training_cut

AT = datetime(2011, 9, 2, 2, tzinfo=UTC)


def test_a_scheduled_triggered_or_backfilled_run_has_a_partition_key() -> None:
    assert cut_of("2011-08-30", None) == date(2011, 8, 30)
    assert cut_of("2011-08-30", AT) == date(2011, 8, 30)


def test_a_run_of_dags_test_has_only_a_logical_date() -> None:
    assert cut_of(None, AT) == date(2011, 9, 2)


@pytest.mark.parametrize("key", ["yesterday", "2011-13-01", "2011-08-30T02:00:00", ""])
def test_a_key_that_is_no_date_is_named(key: str) -> None:
    with pytest.raises(SettingsError, match="is no date: give it as"):
        cut_of(key, None)


def test_a_run_without_either_is_refused() -> None:
    with pytest.raises(SettingsError, match="names no cut"):
        cut_of(None, None)


def test_training_takes_the_asked_cut_else_the_day_before_it_is_due() -> None:
    assert training_cut("2011-08-29", AT) == date(2011, 8, 29)
    assert training_cut(None, AT) == date(2011, 9, 1)
    with pytest.raises(SettingsError, match="parameter cut 'someday' is no date"):
        training_cut("someday", AT)
