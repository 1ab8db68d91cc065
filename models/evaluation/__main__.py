"""`python -m models.evaluation quick|full|final`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import from_environment
from models.evaluation.plan import FULL, QUICK

log = RoomLog("models")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate; an error that names what to do ends it with 1."""
    parser = argparse.ArgumentParser(prog="models.evaluation", description=__doc__)
    parser.add_argument("how", choices=("quick", "full", "final"))
    parser.add_argument(
        "--only", nargs="+", choices=FULL.sections, metavar="SECTION", help=f"of {', '.join(FULL.sections)}"
    )
    arguments = parser.parse_args(argv)
    from models.evaluation.run import run, run_final

    plan = QUICK if arguments.how == "quick" else FULL
    if arguments.only:
        plan = replace(plan, sections=tuple(arguments.only))
    try:
        if arguments.how == "final":
            run_final(from_environment(), log)
        else:
            run(from_environment(), plan, log)
    except BraidError as error:
        log("evaluation failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
