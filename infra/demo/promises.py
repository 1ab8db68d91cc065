"""What the demo promises of its own figures; a broken promise ends it with code 1. A speed is an aim: it is the machine's as well, and a miss is
said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Report = dict[str, Any]

PROMISES: tuple[tuple[str, Callable[[Report], bool]], ...] = (
    (
        "the three daily runs succeed and the planted day is refused",
        lambda r: [run["state"] for run in r["batch"]["dag_runs"]] == ["success"] * 3 + ["failed"],
    ),
    ("the gate catches the planted prices", lambda r: r["batch"]["gates"]["planted_caught"] == 1),
    ("the refused day leaves what serves untouched", lambda r: r["batch"]["yesterday_stays"]),
    ("at least 100,000 events went through the stream", lambda r: r["stream"]["events"] >= 100_000),
    ("no event is lost", lambda r: r["stream"]["lost"] == 0),
    ("no event is counted twice", lambda r: r["stream"]["duplicated"] == 0),
    ("freshness is measured on at least 1,000 sessions", lambda r: r["freshness_ms"]["sessions"] >= 1_000),
    ("no watched event stayed unseen", lambda r: r["freshness_ms"]["unseen"] == 0),
    (
        "they are measured under at least 500 events/s",
        lambda r: r["stream"]["paced_events_per_second"] >= 500,
    ),
    ("at least 5,000 requests are answered under load", lambda r: r["requests"]["count"] >= 5_000),
    ("every request is answered with 2xx", lambda r: r["requests"]["non_2xx"] == 0),
    (
        "the list updated by the session beats the list from its start",
        lambda r: r["session_lift"]["hr20_updated"] > r["session_lift"]["hr20_start"],
    ),
    ("the lists are the same bytes when made again", lambda r: r["export"]["identical_on_rerun"]),
    (
        "every decision was computed again, session, shopper and user rows among what it used",
        lambda r: (
            0 < r["parity"]["decisions"] == r["parity"]["rows"].get("derived")
            and {"session", "shopper", "user"} <= r["parity"]["rows"].keys()
        ),
    ),
    (
        "every decision's rows and derived features equal their recomputation",
        lambda r: r["parity"]["differences"] == 0,
    ),
    ("one event changes one shopper's list", lambda r: r["story"]["changed"]),
    ("one click in the shop's page changes its list", lambda r: r["shop"]["changed"]),
    ("everything together stays below 10 GiB", lambda r: r["memory_mib"] < 10 * 1024),
)


AIMS: tuple[tuple[str, Callable[[Report], bool]], ...] = (
    ("99 of 100 events can be read within a second", lambda r: r["freshness_ms"]["p99"] <= 1_000),
)


def missed_aims(report: Report) -> list[str]:
    """The aims that the report's figures fall short of."""
    return [aim for aim, reached in AIMS if not reached(report)]


def broken_promises(report: Report) -> list[str]:
    """The promises that the report's figures do not keep."""
    return [promise for promise, kept in PROMISES if not kept(report)]
