"""`python -m models train --cut D | embed --cut D | publish --cut D`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from contracts.clock import to_rfc3339
from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import Settings, from_environment

log = RoomLog("models")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error that names what to do ends it with 1."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace, Settings], None] = arguments.run
    try:
        command(arguments, from_environment())
    except BraidError as error:
        log(f"{arguments.command} failed", cut=arguments.cut, error=str(error))
        return 1
    return 0


def run_train(arguments: argparse.Namespace, settings: Settings) -> None:
    """Fit and measure the candidates, register them, and report in `reports/train.json`."""
    started = time.perf_counter()
    from models.registry import register
    from models.train import Fit
    from models.training import train_candidates

    fit = Fit(seed=arguments.seed, epochs=arguments.epochs)
    training = train_candidates(settings, arguments.cut, arguments.validation_days, fit)
    run_id = register(settings, training)
    report: dict[str, Any] = {
        "made_at": to_rfc3339(settings.clock().now()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "cut": str(arguments.cut),
        "run_id": run_id,
        "serves": training.best.kind,
        "recall_at_20": training.best.metrics.recall_at_20,
        "candidates": {candidate.kind: candidate.metrics.as_dict() for candidate in training.candidates},
        "params": dict(training.params),
        "seconds": round(time.perf_counter() - started, 1),
    }
    settings.reports.mkdir(parents=True, exist_ok=True)
    (settings.reports / "train.json").write_text(json.dumps(report, indent=2) + "\n")
    log("trained", **report)


def run_embed(arguments: argparse.Namespace, settings: Settings) -> None:
    """Item and user vectors of the cut by the champion."""
    from models.embed import embed
    from models.registry import champion

    serves = champion(settings)
    items, users = embed(settings, serves, arguments.cut)
    log("embedded", cut=arguments.cut, model_version=serves.model_version, items=items, users=users)


def run_publish(arguments: argparse.Namespace, settings: Settings) -> None:
    """The cut's snapshot, made current."""
    from models.publish import publish
    from models.registry import champion

    serves = champion(settings)
    version = publish(settings, serves, arguments.cut, settings.clock().now())
    log("published", cut=arguments.cut, model_version=serves.model_version, version=version)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("train", run_train), ("embed", run_embed), ("publish", run_publish)):
        command = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--cut", type=date.fromisoformat, required=True, metavar="DATE")
        command.set_defaults(run=run)
    train = commands.choices["train"]
    train.add_argument("--validation-days", type=int, default=7)
    train.add_argument("--epochs", type=int, default=6)
    train.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
