"""`python -m infra.simulator files --from F --to T` or `... publish --on D`: days of the simulated shop."""

from __future__ import annotations

import sys

from infra import adapt, publish

COMMANDS = {"files": adapt.main, "publish": publish.main}


def main(arguments: list[str]) -> int:
    """Hand the options on to `infra.adapt` or `infra.publish`, for the source `simulator`."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    return COMMANDS[arguments[0]](["simulator", *arguments[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
