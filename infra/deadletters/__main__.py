"""`python -m infra.deadletters counts | show | repair | reinject`: what the door refused, and back through it.

    python -m infra.deadletters counts
    python -m infra.deadletters show --reason "items[].price: a finite decimal in a string, as \"2.55\""
    python -m infra.deadletters repair --reason "…" --replace 'items.*.price' , . --out repairs.jsonl
    python -m infra.deadletters reinject repairs.jsonl

`repair` sends nothing: it says how many records would pass the door, and writes these where `--out` says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import Settings, from_environment
from infra.deadletters.letters import Letter, counts, read_letters
from infra.deadletters.reinject import read_repairs, reinject, sent_before, write_repairs
from infra.deadletters.repair import Edits, repair

log = RoomLog("infra")
SHOWN_CHARACTERS = 500


def counted(settings: Settings) -> dict[str, Any]:
    """Letters by reason; how many were sent again, and how many of these were refused again."""
    letters = list(read_letters(settings))
    sent = sent_before(settings)
    places = set(sent.values())
    return {
        "letters": len(letters),
        "by_reason": counts(letters),
        "sent_again": sum(letter.place in sent for letter in letters),
        "refused_again": sum(letter.place in places for letter in letters),
    }


def shown(letters: Iterator[Letter], limit: int) -> Iterator[dict[str, Any]]:
    """The first letters with every violation and the beginning of their bytes."""
    for letter, _ in zip(letters, range(limit), strict=False):
        original = letter.rejection.original[:SHOWN_CHARACTERS].decode("utf-8", "replace")
        violations = [
            f"{one.field or 'record'}: {one.rule}, not {one.value!r}" for one in letter.rejection.violations
        ]
        yield {"place": letter.place, "reason": letter.reason, "violations": violations, "original": original}


def _matching(settings: Settings, reason: str | None) -> Iterator[Letter]:
    return (letter for letter in read_letters(settings) if reason is None or letter.reason == reason)


def _repair(settings: Settings, options: argparse.Namespace) -> dict[str, Any]:
    edits = Edits(
        drop=tuple(options.drop),
        rename=tuple(tuple(pair) for pair in options.rename),
        replace=tuple(tuple(three) for three in options.replace),
        put=tuple((path, _value(text)) for path, text in options.set),
    )
    now = None if options.keep_received else settings.clock().now()
    outcome = repair(_matching(settings, options.reason), edits, now)
    if options.out:
        write_repairs(options.out, outcome.passing)
    return {
        "would_pass": len(outcome.passing),
        "still_refused": dict(outcome.refused.most_common()),
        "written": str(options.out) if options.out else None,
    }


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text: `3` is a number, `"3"` and `web` are strings."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when Kafka is away, a file cannot be read, or not every record was confirmed."""
    options, settings = _parser().parse_args(arguments), from_environment()
    try:
        match options.command:
            case "counts":
                _say(counted(settings))
            case "show":
                for one in shown(_matching(settings, options.reason), options.limit):
                    _say(one)
            case "repair":
                _say(_repair(settings, options))
            case _:
                return _reinject(settings, options)
    except (BraidError, OSError) as error:
        log("deadletters_failed", level="error", error=str(error))
        return 1
    return 0


def _reinject(settings: Settings, options: argparse.Namespace) -> int:
    sent = reinject(
        settings, read_repairs(options.file), settings.clock().now(), again=options.again, wait=options.wait
    )
    _say({"confirmed": sent.confirmed, "sent_before": sent.known, "not_confirmed": len(sent.failed)})
    for error in sorted(set(sent.failed)):
        log(
            "reinject_failed",
            level="error",
            error=error,
            next="run the same command again: the rest is sent then",
        )
    return 1 if sent.failed else 0


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what, indent=1) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="infra.deadletters", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("counts", help="dead letters by reason")
    show = commands.add_parser("show", help="examples with their violations")
    show.add_argument("--limit", type=int, default=5)
    mend = commands.add_parser("repair", help="edit the records of a reason; says how many would pass")
    for command in (show, mend):
        command.add_argument("--reason", help="as `counts` names it (default: every letter)")
    for name, parts, what in (
        ("--set", ("PATH", "VALUE"), "VALUE is JSON, else text"),
        ("--rename", ("OLD", "NEW"), "a path's new path"),
        ("--replace", ("PATH", "PATTERN", "TEXT"), "a regular expression in its strings"),
    ):
        mend.add_argument(name, nargs=len(parts), metavar=parts, action="append", default=[], help=what)
    mend.add_argument("--drop", metavar="PATH", action="append", default=[], help="leave the field out")
    mend.add_argument(
        "--keep-received", action="store_true", help="keep received_time: for a cut that is run again"
    )
    mend.add_argument("--out", type=Path, help="where the records that pass are written")
    send = commands.add_parser("reinject", help="send a repair file's records to events_raw")
    send.add_argument("file", type=Path)
    send.add_argument("--again", action="store_true", help="also what was sent before; it counts once")
    send.add_argument("--wait", type=float, default=30.0, metavar="SECONDS", help="how long Kafka may take")
    return parser


if __name__ == "__main__":
    sys.exit(main())
