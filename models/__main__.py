"""`python -m models train|embed|publish --cut D | refresh`, and `list | compare A B | promote V | rollback` of what is registered."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from contracts.errors import BraidError, GateError
from contracts.logs import RoomLog
from contracts.reports import provenance, write_report
from contracts.settings import Settings, from_environment
from models.errors import ModelsError

log = RoomLog("models")
REFUSED = 3
SHOWN = ("recall_at_20", "ndcg_at_20", "coverage_at_20")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; an error that names what to do ends it with 1, data that are not fit to learn from with 3."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace, Settings], None] = arguments.run
    try:
        command(arguments, from_environment())
    except BraidError as error:
        log(f"{arguments.command} failed", cut=getattr(arguments, "cut", None), error=str(error))
        return REFUSED if isinstance(error, GateError) else 1
    return 0


def run_train(arguments: argparse.Namespace, settings: Settings) -> None:
    """Fit, measure and judge the candidates, register them, and report in `reports/train.json`."""
    started = time.perf_counter()
    from models.errors import OtherLayoutError
    from models.registry import register, standing
    from models.train import Fit
    from models.training import How, train_candidates

    fit = Fit(seed=arguments.seed, epochs=arguments.epochs or Fit().epochs)
    how = How(fit, arguments.validation_days, arguments.start, arguments.workers)
    try:
        incumbent = standing(settings)
    except OtherLayoutError as error:
        log("there is no incumbent to hold against", cause=str(error))
        incumbent = None
    training = train_candidates(settings, arguments.cut, how, incumbent)
    run_id = register(settings, training)
    serves = training.promoted.kind if training.promoted else "incumbent"
    report: dict[str, Any] = {
        **provenance(),
        "cut": str(arguments.cut),
        "run_id": run_id,
        "serves": serves,
        "recall_at_20": training.serving["recall_at_20"],
        "incumbent": training.incumbent,
        "candidates": {candidate.kind: dict(candidate.figures) for candidate in training.candidates},
        "slices": {candidate.kind: dict(candidate.slices) for candidate in training.candidates},
        "comparisons": {
            c.kind: [one.as_dict() for one in c.verdict.comparisons] for c in training.candidates if c.verdict
        },
        "refused": {c.kind: c.verdict.reasons for c in training.candidates if c.verdict and not c.passes},
        "params": dict(training.params),
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_report(settings.reports / "train.json", report, default=None)
    log("trained", **report)


def run_embed(arguments: argparse.Namespace, settings: Settings) -> None:
    """Item vectors of the cut by the champion, and the cut's snapshot, staged."""
    from models.embed import embed
    from models.publish import stage
    from models.registry import champion

    serves = champion(settings)
    items = embed(settings, serves, arguments.cut)
    version = stage(settings, serves, arguments.cut, settings.clock().now())
    log("embedded", cut=arguments.cut, model_version=serves.model_version, items=items, staged=version)


def run_publish(arguments: argparse.Namespace, settings: Settings) -> None:
    """The cut's staged snapshot, made current."""
    from models.publish import publish

    log("published", cut=arguments.cut, version=publish(settings, arguments.cut))


def run_refresh(arguments: argparse.Namespace, settings: Settings) -> None:
    """The served snapshot with what the catalog says by now; nothing is published where nothing changed."""
    from models.refresh import refresh

    log("refreshed", version=refresh(settings))


def run_list(arguments: argparse.Namespace, settings: Settings) -> None:
    """Every registered version, newest first, with its aliases and figures."""
    from models.registry import versions

    _show(versions(settings), ("version", "alias", "kind", "cut", "passes", *SHOWN))


def run_compare(arguments: argparse.Namespace, settings: Settings) -> None:
    """The figures of two versions side by side; each is of its own validation days."""
    from models.registry import versions

    found = {row["version"]: row for row in versions(settings)}
    for version in (arguments.first, arguments.second):
        if version not in found:
            raise ModelsError(f"there is no version {version}: see `python -m models list`")
    first, second = found[arguments.first], found[arguments.second]
    names = [name for name in first if name in second and name != "version"]
    rows = [{"": name, arguments.first: first[name], arguments.second: second[name]} for name in names]
    _show(rows, ("", arguments.first, arguments.second))


def run_promote(arguments: argparse.Namespace, settings: Settings) -> None:
    """Let `champion` name this version, whatever the gate said; the next embed and publish serve it."""
    from models.registry import point

    point(settings, arguments.version)
    log("promoted", version=arguments.version)


def run_rollback(arguments: argparse.Namespace, settings: Settings) -> None:
    """Let `champion` name again what it named before."""
    from models.registry import roll_back

    log("rolled back", version=roll_back(settings))


def _show(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> None:
    cells = [list(columns), *([row.get(name, "") for name in columns] for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns))]
    for line in cells:
        sys.stdout.write(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="models", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, run in (("train", run_train), ("embed", run_embed), ("publish", run_publish)):
        command = commands.add_parser(name, help=run.__doc__)
        command.add_argument("--cut", type=date.fromisoformat, required=True, metavar="DATE")
        command.set_defaults(run=run)
    for name, run in (("refresh", run_refresh), ("list", run_list), ("rollback", run_rollback)):
        commands.add_parser(name, help=run.__doc__).set_defaults(run=run)
    compare = commands.add_parser("compare", help=run_compare.__doc__)
    compare.add_argument("first")
    compare.add_argument("second")
    compare.set_defaults(run=run_compare)
    promote = commands.add_parser("promote", help=run_promote.__doc__)
    promote.add_argument("version")
    promote.set_defaults(run=run_promote)
    train = commands.choices["train"]
    train.add_argument("--validation-days", type=int, default=7)
    train.add_argument("--epochs", type=int, default=None, help="as models.train declares where not given")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument(
        "--start", choices=("full", "warm", "weekly"), default="full", help="what the towers go on from"
    )
    train.add_argument(
        "--workers", type=int, default=1, help="processes that train the towers together, from nothing"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
