"""What a second demo keeps: the backfilled lake and the day files, as long as nothing they came from changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from contracts.settings import ROOT, Settings
from infra.demo.plan import Plan

# What the backfilled tables are a function of, beside the data.
MAKERS = (
    "contracts",
    "spark_jobs",
    "infra/adapt.py",
    "infra/dayfiles.py",
    "infra/sources.py",
    "infra/simulator",
    "uv.lock",
)
WIPED = (
    "lake",
    "days",
    "serving",
    "exports",
    "mlflow",
    "feast",
    "flink",
    "kafka",
    "redis",
    "airflow",
    "gx",
    "run",
    "logs",
)


@dataclass(frozen=True, slots=True)
class Backfill:
    """The kept backfill under `var/backfill`."""

    settings: Settings
    plan: Plan

    @property
    def folder(self) -> Path:
        return self.settings.var / "backfill"

    def holds(self) -> bool:
        """Whether a backfill of the same makers, data and days is kept whole."""
        try:
            return bool(json.loads((self.folder / "key.json").read_text()) == self.key())
        except FileNotFoundError:
            return False

    def key(self) -> dict[str, str]:
        """What the kept backfill depends on."""
        days = f"{self.plan.source} {self.plan.backfill_from}..{self.plan.backfill_to}"
        return {"days": days, **made_of(self.settings.data, self.plan.source)}

    def keep(self, report: Path) -> None:
        """Copy the lake, the day files and the backfill's report; the key last, so that half a copy is none."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.settings.lake, self.folder / "lake")
        shutil.copytree(self.settings.days, self.folder / "days")
        shutil.copy(report, self.folder / "report.json")
        (self.folder / "key.json").write_text(json.dumps(self.key()))

    def restore(self, report: Path) -> None:
        """Copy the kept lake, day files and report back."""
        report.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.folder / "lake", self.settings.lake)
        shutil.copytree(self.folder / "days", self.settings.days)
        shutil.copy(self.folder / "report.json", report)


def made_of(data: Path | None, source: str, more: tuple[str, ...] = ()) -> dict[str, str]:
    """What a source's tables come from: its files, and the code that makes tables of them, `more` beside the usual."""
    return {"data": _listing(data, source), "makers": _digest(MAKERS + more)}


def wipe(settings: Settings) -> None:
    """Remove the state of an earlier demo; set-up, reports and the kept backfill stay."""
    for name in WIPED:
        shutil.rmtree(settings.var / name, ignore_errors=True)


def _listing(data: Path | None, source: str) -> str:
    """The source's folder and a digest of its files' names, sizes and times."""
    files = sorted((data / source).glob("*")) if data is not None else []
    facts = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return f"{data} {hashlib.sha256(json.dumps(facts).encode()).hexdigest()}"


def _digest(makers: tuple[str, ...]) -> str:
    total = hashlib.sha256()
    for path in sorted(file for maker in makers for file in _files(ROOT / maker)):
        total.update(path.relative_to(ROOT).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.suffix in {".py", ".json"}]
