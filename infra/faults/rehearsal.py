"""One Spark application that runs cut after cut (`python -m spark_jobs.rehearse`), and what silver holds after each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from deltalake import DeltaTable

from contracts.errors import BraidError
from contracts.settings import ROOT, Settings
from infra.stack.units import environment

ANSWER = "ANSWER "
Row = tuple[Any, ...]
POSITION = ("source", "source_partition", "source_offset")


class RehearsalError(BraidError):
    """The Spark application ended, or a run failed otherwise than by a gate."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one run.

    Attributes:
        code: 0, or 3 when a gate refused the data.
        broken: the verdicts that refused it: `cut`, `rule`, `cause`, `observed`.
    """

    code: int
    broken: list[dict[str, Any]]
    seconds: dict[str, float]
    error: str | None

    @property
    def causes(self) -> list[str]:
        return sorted({verdict["cause"] for verdict in self.broken})

    @property
    def rules(self) -> list[str]:
        return sorted({verdict["rule"] for verdict in self.broken})


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """Runs cuts of one source, whose day files lie in the settings' folder."""

    settings: Settings
    source: str
    process: subprocess.Popen[str]

    def run(self, jobs: Sequence[str], first: date, cut: date, *, gated: bool = True) -> Answer:
        """Run the jobs over a range of cuts, with the gates or without.

        Raises:
            RehearsalError: it failed otherwise than by a gate.
        """
        asked = {
            "jobs": list(jobs),
            "source": f"days:{self.source}",
            "from": str(first),
            "cut": str(cut),
            "gated": gated,
        }
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(asked) + "\n")
            stdin.flush()
        except BrokenPipeError as error:
            raise RehearsalError(f"the Spark application is gone: see {_log(self.settings)}") from error
        line = next((line for line in stdout if line.startswith(ANSWER)), None)
        if line is None:
            raise RehearsalError(f"the Spark application ended: see {_log(self.settings)}")
        answer = json.loads(line.removeprefix(ANSWER))
        if answer["code"] not in (0, 3):
            raise RehearsalError(f"{asked}: {answer['error']}")
        return Answer(answer["code"], answer["broken"], answer.get("seconds", {}), answer["error"])

    def silver(self, on: date) -> dict[str, list[Row]]:
        """The cut's rows of silver by table, without their place in the source, in order."""
        near = [("event_on", ">=", on - timedelta(days=8)), ("cut_on", "=", on)]
        return {
            "events": self._rows("silver_events", near),
            "catalog": self._rows("silver_catalog", [("effective_on", "=", on)]),
        }

    def rejected(self, on: date) -> list[tuple[str, str]]:
        """(reason, original) of the day's rejected records."""
        found = self._table("bronze_rejected", [("source_partition", "=", int(f"{on:%Y%m%d}"))])
        return [(row["reason"], row["original"]) for row in found]

    def _rows(self, table: str, filters: list[tuple[str, str, Any]]) -> list[Row]:
        found = self._table(table, filters)
        rows = [
            tuple(str(value) for name, value in sorted(row.items()) if name not in POSITION) for row in found
        ]
        return sorted(rows)

    def _table(self, table: str, filters: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (
            DeltaTable(self.settings.lake / table).to_pyarrow_table(filters=filters).to_pylist()
        )
        return rows


@contextmanager
def rehearsal(settings: Settings, source: str) -> Iterator[Rehearsal]:
    """The application, ended on leaving."""
    log = _log(settings)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "spark_jobs.rehearse"],
            cwd=ROOT,
            env={**os.environ, **environment(settings)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield Rehearsal(settings, source, process)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait()


def _log(settings: Settings) -> Any:
    return settings.logs / "faults.log"
