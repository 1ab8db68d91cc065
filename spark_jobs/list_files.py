"""The lists as files: Parquet, CSV, and a manifest of counts and checksums; the same rows give the same bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

NAME = "recommendations"


def write_files(folder: Path, rows: pa.Table, cut: date, snapshot: str) -> None:
    """Replace `folder` by the files of these rows, all of them or none.

    Args:
        rows: sorted by user and rank.
        snapshot: the version of the snapshot that made them.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    plain = rows.replace_schema_metadata(None).combine_chunks()
    pq.write_table(plain, fresh / f"{NAME}.parquet", compression="zstd")
    pa.csv.write_csv(plain, fresh / f"{NAME}.csv")
    (fresh / "manifest.json").write_text(json.dumps(_manifest(fresh, plain, cut, snapshot), indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _manifest(folder: Path, rows: pa.Table, cut: date, snapshot: str) -> dict[str, object]:
    files = sorted(path for path in folder.iterdir() if path.stem == NAME)
    return {
        "cut": cut.isoformat(),
        "snapshot": snapshot,
        "model_version": pc.unique(rows["model_version"]).to_pylist(),
        "users": len(pc.unique(rows["user_id"])),
        "rows": rows.num_rows,
        "sha256": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
