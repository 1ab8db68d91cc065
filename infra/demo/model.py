"""The validation figures of the three candidates, from MLflow's registry."""

from __future__ import annotations

import json
from typing import Any

from contracts.settings import Settings


def figures(settings: Settings) -> dict[str, Any]:
    """What `models train` reported: candidates with their metrics, seconds, and which serves."""
    found: dict[str, Any] = json.loads((settings.reports / "train.json").read_text())
    return found
