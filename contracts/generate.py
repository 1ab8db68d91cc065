"""`python -m contracts.generate [--check]`: the wire's JSON Schemas and the page of the features, from the declarations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from contracts.catalog import CATALOG_FIELDS
from contracts.columns import json_schema
from contracts.decisions import Decision
from contracts.events import EVENT_FIELDS, ITEM_FIELDS
from contracts.feature_docs import features_page
from contracts.policy import Policy
from contracts.settings import ROOT

FOLDER = Path(__file__).parent / "schemas"
PAGE = ROOT / "docs" / "features.md"


def schemas() -> dict[str, dict[str, Any]]:
    """File name → schema. A record that breaks a schema is invalid; rules over several fields are code alone."""
    return {
        "event.schema.json": json_schema("event", EVENT_FIELDS, ITEM_FIELDS),
        "catalog.schema.json": json_schema("catalog update", CATALOG_FIELDS),
        "decision.schema.json": _with_draft(Decision),
        "policy.schema.json": _with_draft(Policy),
    }


def _with_draft(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(struct)}


def texts() -> dict[str, str]:
    """File name of a schema → content."""
    return {name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas().items()}


def files() -> dict[Path, str]:
    """Every generated file → content."""
    return {**{FOLDER / name: text for name, text in texts().items()}, PAGE: features_page()}


def stale() -> list[str]:
    """Files, under the project's root, that differ from the declarations or are missing."""
    return [str(path.relative_to(ROOT)) for path, text in files().items() if not _holds(path, text)]


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files; with --check only compare them, 1 when one is stale."""
    parser = argparse.ArgumentParser(prog="contracts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file is stale")
    if parser.parse_args(arguments).check:
        outdated = stale()
        for name in outdated:
            sys.stderr.write(f"{name} is stale: run python -m contracts.generate\n")
        return 1 if outdated else 0
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
