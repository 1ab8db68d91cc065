"""The export of a cut's lists: Parquet, CSV and a manifest with their checksums; the same rows give the same bytes."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

COLUMNS = ("user_id", "rank", "item_id", "score", "source", "reason", "model_version", "cut_on")
ROW_GROUP = 100_000
MANIFEST = "manifest.json"


def write_export(folder: Path, lists: pa.Table, cut: date, model_version: str) -> None:
    """Write recommendations.parquet, recommendations.csv, then manifest.json.

    Args:
        lists: `COLUMNS`, in the order of user and rank.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    rows = lists.select(list(COLUMNS)).replace_schema_metadata(None).combine_chunks()
    files = {name: folder / f"recommendations.{name}" for name in ("parquet", "csv")}
    pa_parquet.write_table(rows, files["parquet"], row_group_size=ROW_GROUP, compression="zstd")
    pa_csv.write_csv(rows, files["csv"])
    manifest = {
        "cut": cut.isoformat(),
        "model_version": model_version,
        "rows": rows.num_rows,
        "users": len(rows["user_id"].unique()),
        "files": {path.name: _about(path) for path in files.values()},
    }
    fresh = folder / f".{MANIFEST}"
    fresh.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    fresh.replace(folder / MANIFEST)


def _about(path: Path) -> dict[str, int | str]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
