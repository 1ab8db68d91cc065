"""Reports: what each says of itself (commit, machine and time), and its file."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts.settings import ROOT


def provenance() -> dict[str, str]:
    """The commit of the checkout, the machine, and the time (UTC)."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "commit": commit.stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}",
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_report(path: Path, report: Mapping[str, Any], default: Callable[[Any], Any] | None = str) -> None:
    """Write it as JSON, whole or not at all; `default` says what JSON has no form for, None refuses it.

    Raises:
        ValueError: a number is none, which JSON does not know; TypeError: something has no form.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(
        json.dumps(report, indent=1, default=default, ensure_ascii=False, allow_nan=False) + "\n"
    )
    fresh.replace(path)
