"""`python -m models.evaluation quick|full`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from contracts.errors import BraidError
from contracts.logs import RoomLog
from contracts.settings import from_environment
from models.evaluation.datasets import PUBLIC

log = RoomLog("models")


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate; an error that names what to do ends it with 1."""
    parser = argparse.ArgumentParser(prog="models.evaluation", description=__doc__)
    parser.add_argument("how", choices=("quick", "full"))
    parser.add_argument("--datasets", nargs="+", choices=sorted(PUBLIC), help="only these")
    arguments = parser.parse_args(argv)
    from models.evaluation.run import FULL, QUICK, run

    plan = QUICK if arguments.how == "quick" else FULL
    if arguments.datasets:
        plan = replace(plan, datasets=tuple(arguments.datasets))
    try:
        run(from_environment(), plan, log)
    except BraidError as error:
        log("evaluation failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
