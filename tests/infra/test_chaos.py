"""What chaos plans and promises, by hand; the chaos itself is `make chaos`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from infra.chaos.__main__ import broken
from infra.chaos.plan import CHECKPOINT, TARGETS, Plan


def test_a_seed_is_a_schedule_and_every_target_has_its_turn() -> None:
    kills = list(Plan(seed=5).schedule())
    assert kills == list(Plan(seed=5).schedule())
    assert kills != list(Plan(seed=6).schedule())
    # Three rounds of eight targets; in each two kills fall into a checkpoint.
    assert Counter((kill.unit, kill.how) for kill in kills) == dict.fromkeys(TARGETS, 3)
    assert sum(kill.how == CHECKPOINT for kill in kills) == 6
    assert all(1 <= kill.after_seconds <= 6 for kill in kills)
    assert len(list(Plan(seed=5, kills=3).schedule())) == 3


def test_what_is_not_kept_is_said() -> None:
    kept: dict[str, Any] = {
        "kills": 24, "kills_in_checkpoint": 6, "events_per_second": 2049.0, "lost": 0, "duplicated": 0,
        "state_differences": 0, "recovery_s": {"p50": 9.0, "p95": 30.0},
    }  # fmt: skip
    assert broken(Plan(1), kept, {"differences": 0}) == []
    worse = kept | {
        "kills_in_checkpoint": 4,
        "events_per_second": 1900.0,
        "lost": 1,
        "recovery_s": {"p95": 30.5},
    }
    assert broken(Plan(1), worse, {"differences": 2}) == [
        "lost is 1, not 0",
        "rebuild.differences is 2, not 0",
        "recovery_s.p95 30.5 is above 30",
        "4 kills inside a checkpoint, fewer than 5",
        "1900.0 events/s, fewer than 2,050",
    ]
