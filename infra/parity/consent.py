"""Consent in both strands: ten thousand choices on one day, held against what is known to be true of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec

from contracts.adapters.wire import Record
from contracts.catalog import read_catalog
from contracts.clock import clear_replay_clock
from contracts.cuts import Cut
from contracts.settings import TOPICS, Settings
from infra.demo.client import ScorerClient
from infra.demo.process import run_step
from infra.demo.progress import Progress
from infra.demo.topics import wait_for
from infra.parity import consent_day
from infra.parity.consent_day import AFTER_PUBLICATION, BEFORE_PUBLICATION, CHANGES_EACH, HISTORY, ON, Shopper
from infra.parity.consent_tables import TableRows, check_tables
from infra.parity.consent_watch import Watched, play
from infra.parity.topics import wait_until_quiet
from infra.publish import Sender
from infra.stack import LocalStack

EVENTS_PER_SECOND = 400.0
LATER = datetime(2011, 11, 9, 4, tzinfo=BEFORE_PUBLICATION.tzinfo)
RERUN = (
    "gold_user_features",
    "gold_session_features",
    "gold_shopper_features",
    "gold_label_rows",
    "gold_recommendations",
)


def consent_figures(
    settings: Settings, stack: LocalStack, progress: Progress, changes: int
) -> dict[str, Any]:
    """`consent` and the decisions' parity, for the report."""
    crowd = consent_day.shoppers(changes // CHANGES_EACH)
    with progress.step("consent_history", f"Two days of {len(crowd):,} shoppers, a model, and what serves"):
        stack.up(["feature-writer", "scorer", "redis"])
        _history(settings, crowd)
        _publish(settings, HISTORY[-1].isoformat(), train=True)
        wait_for("the scorer is ready", ScorerClient(settings).ready)
    with progress.step(
        "consent_day", f"{changes:,} choices about consent, each watched, each withdrawal asked about"
    ):
        watched = play(settings, crowd, EVENTS_PER_SECOND)
    clear_replay_clock(settings.clock_file)
    with progress.step(
        "consent_batch", "The same day in the batch strand: tables, examples, lists; every decision again"
    ):
        _send(settings, consent_day.night(crowd, BEFORE_PUBLICATION, 0))
        _send(settings, consent_day.night(crowd, AFTER_PUBLICATION, 1))
        decisions = _batch(settings)
        published = Cut(ON, settings.publish_delay).published_at
        tables = check_tables(settings, crowd, published)
    with progress.step("consent_as_of", "The cut again, with consent as of two hours after its publication"):
        _spark(settings, "gold,lists", "--consent-as-of", LATER.isoformat())
        again = check_tables(settings, crowd, LATER, RERUN)
    return {"consent": _figures(watched, tables, again), **decisions}


def _figures(watched: Watched, tables: dict[str, TableRows], again: dict[str, TableRows]) -> dict[str, Any]:
    in_tables = sum(found.violations for found in (*tables.values(), *again.values()))
    return {
        "changes": watched.sent,
        "readable_ms": asdict(watched.figures()),
        "unread": watched.unread,
        "withdrawals_asked": watched.asked,
        "tables": {name: asdict(found) for name, found in tables.items()},
        "tables_as_of_later": {name: asdict(found) for name, found in again.items()},
        "violations": in_tables + len(watched.violations),
        "examples": watched.violations[:5],
    }


def _history(settings: Settings, crowd: list[Shopper]) -> None:
    sender = Sender(settings)
    for update in (read_catalog(record).event for record in consent_day.catalog()):
        if update is not None:
            sender.send_raw(TOPICS.catalog, update["item_id"], msgspec.json.encode(update))
    sender.flush()
    for on in HISTORY:
        _send(settings, consent_day.history(crowd, on))
    wait_until_quiet(settings, [TOPICS.events])
    first, last = (on.isoformat() for on in HISTORY)
    run_step(
        settings, "consent", "spark_jobs", "--jobs", "bronze,silver,gold", "--from", first, "--cut", last
    )


def _publish(settings: Settings, cut: str, *, train: bool = False) -> None:
    """What the DAGs run after gold."""
    if train:
        run_step(settings, "consent", "feature_repo", "training-set", "--cut", cut)
        run_step(
            settings, "consent", "models", "train", "--cut", cut, "--validation-days", "1", "--epochs", "1"
        )
    run_step(settings, "consent", "models", "embed", "--cut", cut)
    run_step(settings, "consent", "spark_jobs", "--jobs", "user_vectors", "--cut", cut)
    run_step(settings, "consent", "feature_repo", "materialize", "--cut", cut)
    run_step(settings, "consent", "models", "publish", "--cut", cut)


def _batch(settings: Settings) -> dict[str, Any]:
    """The day's cut through the batch strand; the figures of its decisions."""
    wait_until_quiet(settings, [TOPICS.events, TOPICS.decisions])
    _spark(settings, "bronze,silver,gold")
    run_step(settings, "consent", "feature_repo", "training-set", "--cut", ON.isoformat())
    _publish(settings, ON.isoformat())
    report = settings.run / "decisions.json"
    _spark(settings, "lists,decisions,check_decisions", "--report", str(report))
    found: dict[str, Any] = json.loads(report.read_text())["parity"]
    return {
        "decisions": found["decisions"],
        "decision_rows": found["rows"],
        "decision_differences": found["differences"],
        "decision_examples": found["examples"],
    }


def _spark(settings: Settings, jobs: str, *more: str) -> None:
    run_step(settings, "consent", "spark_jobs", "--jobs", jobs, "--cut", ON.isoformat(), *more)


def _send(settings: Settings, events: Iterable[Record]) -> None:
    sender = Sender(settings)
    for event in events:
        sender.send(event)
    sender.flush()
