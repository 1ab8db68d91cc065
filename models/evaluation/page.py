"""The report as one page that needs nothing else: tables with intervals, slices, learning curves as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from models.evaluation.plan import COLD, GATE, ITEMS, LITERT, SPEED

WIDTH, HEIGHT = 640, 180
TEMPLATE = Path(__file__).with_name("page.html.j2")


def page_of(report: Mapping[str, Any]) -> str:
    """HTML."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["bounds"] = _bounds
    template = environment.from_string(TEMPLATE.read_text())
    sections = [
        (name, found) for name, found in report.items() if isinstance(found, dict) and "differences" in found
    ]
    others = {name: report.get(name, {}) for name in (SPEED, LITERT, GATE, ITEMS, COLD)}
    return template.render(report=report, datasets=[_told(name, found) for name, found in sections], **others)


def _told(name: str, found: Mapping[str, Any]) -> dict[str, Any]:
    models = {key: one for key, one in found.items() if isinstance(one, dict) and "slices" in one}
    keys = list(found["differences"])
    return {
        "name": name,
        "made": found["made"],
        "facts": found["facts"],
        "measures": keys,
        "models": models,
        "published": found["published"],
        "differences": found["differences"],
        "slices": list(next(iter(models.values()))["slices"]),
        "baskets": any("basket_recall20" in one for one in models.values()),
        "beside": found if "ratio_best_baseline" in found else None,
        "curve": _polyline([point["validation"] for point in models.get("ours", {}).get("curve", ())]),
    }


def _bounds(interval: Mapping[str, float | None]) -> str:
    low, high = interval["low"], interval["high"]
    return "–" if low is None or high is None else f"{low:.4f} … {high:.4f}"


def _polyline(values: Sequence[float]) -> str:
    """SVG points of the values from left to right, the greatest at the top."""
    top = max(values, default=0.0) or 1.0
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{n * step:.1f},{HEIGHT - value / top * (HEIGHT - 10):.1f}" for n, value in enumerate(values)
    )
