"""`braid`, or `python -m infra.cli`: the local stack for people, and what an export of a shop holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from contracts.errors import BraidError, SourceError
from contracts.events import PURPOSES
from contracts.settings import ROOT, from_environment
from infra.audit.audit import audit as run_audit
from infra.audit.formats import FORMATS
from infra.audit.report import write_report
from infra.audit.tables import show
from infra.clean import check
from infra.clean import clean as remove_state
from infra.stack import DEFAULT, LocalStack, Status
from infra.stack.units import every_name

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
WIDE = 400  # a log file's name broken over two lines cannot be copied
COLOURS = {"running": "green", "done": "green", "not answering": "yellow", "dead": "red", "stopped": "dim"}
Names = Annotated[list[str] | None, typer.Argument(help="units, or `all`; without: the default ones")]


@app.command()
def up(names: Names = None) -> None:
    """Start what is missing and wait until it works."""
    stack = _stack()
    stack.up(every_name() if names == ["all"] else names or DEFAULT)
    _show(stack.status())


@app.command()
def down(names: Names = None) -> None:
    """Stop the named units; without names everything, the supervisor too."""
    stack = _stack()
    stack.down(None if not names or names == ["all"] else names)
    console.print("stopped" if not names else f"stopped {', '.join(names)}")


@app.command()
def status() -> None:
    """Show the units with state, ports and log files."""
    _show(_stack().status())


@app.command()
def clean() -> None:
    """Stop everything and remove what Braid wrote into BRAID_VAR; anything else there stays."""
    settings = from_environment()
    check(settings)
    _stack().down()
    removed, left = remove_state(settings)
    for word, paths in (("removed", removed), ("left", left)):
        for path in paths:
            console.print(f"{word} {_near(path)}", markup=False, soft_wrap=True)


@app.command()
def audit(
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON lines or a JSON array, plain or gzip'd")],
    name: Annotated[
        str | None, typer.Option("--as", help=f"one of {', '.join(FORMATS)}; without: by its look")
    ] = None,
    vouch: Annotated[
        list[str] | None, typer.Option(help="a purpose granted where the source says nothing")
    ] = None,
    to_json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="the report as JSON")] = None,
) -> None:
    """Say what an export holds: coverage, dirt, shoppers and purchases, and what could be trained from it."""
    if name is not None and name not in FORMATS:
        raise SourceError(f"--as {name}: known are {', '.join(FORMATS)}")
    unknown = set(vouch or ()) - set(PURPOSES)
    if unknown:
        raise SourceError(f"--vouch {min(unknown)}: purposes are {', '.join(PURPOSES)}")
    found = run_audit(files, from_environment().late_horizon, name, tuple(vouch or ()))
    show(console, found)
    if to_json is not None:
        write_report(to_json, found)
        console.print(f"report: {to_json}", markup=False, soft_wrap=True)


def _stack() -> LocalStack:
    return LocalStack(from_environment(), say=console.print)


def _show(rows: list[Status]) -> None:
    Console(highlight=False, width=WIDE).print(_table(rows))


def _near(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _table(rows: list[Status]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("unit", "state", "pid", "ports", "log"):
        table.add_column(column, overflow="fold")
    for row in rows:
        state = f"{row.state} ({row.detail})" if row.state == "dead" and row.detail else row.state
        table.add_row(
            row.name,
            f"[{COLOURS[row.state]}]{state}[/]",
            str(row.pid or ""),
            " ".join(map(str, row.ports)),
            _near(row.log),
        )
    return table


def main() -> None:
    """Run a command; an expected error is one message and exit code 1."""
    try:
        app(prog_name="braid")
    except BraidError as error:
        errors.print("error:", style="red", end=" ")
        errors.print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
