"""Where Java is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def java_binary() -> str:
    """The `java` to run: of JAVA_HOME, else the one on the path (plain `java` when there is none)."""
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return str(Path(home) / "bin" / "java")
    return shutil.which("java") or "java"
