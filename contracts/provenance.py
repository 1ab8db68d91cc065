"""What every report says of itself: commit, machine and time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime

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
