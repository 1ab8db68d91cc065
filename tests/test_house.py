"""The house keeps its own rules: rooms, sizes, documents, commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from contracts.settings import ROOT

ROOMS = ("contracts", "dags", "spark_jobs", "flink_jobs", "feature_repo", "models", "scorer", "infra")
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PARTS = ("**Context.**", "**Decision.**", "**Measured.**", "**Consequences.**")


def kept() -> list[Path]:
    """Every file that belongs to the project: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for line in listed.stdout.splitlines() if (path := ROOT / line).is_file()]


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_says_what_it_is_in_at_most_40_lines(room: str) -> None:
    assert 0 < len((ROOT / room / "README.md").read_text().splitlines()) <= 40


def test_no_python_file_outgrows_350_lines() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in kept() if path.suffix == ".py"}
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 350} == {}


def test_make_targets_that_the_documents_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in (path for path in kept() if path.suffix == ".md"):
        named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
        missing = {name for pair in named for name in pair if name} - targets
        assert not missing, f"{page.relative_to(ROOT)} names make {', '.join(sorted(missing))}"


def test_commands_that_the_documents_name_are_modules() -> None:
    for page in (path for path in kept() if path.suffix == ".md"):
        for module in set(re.findall(r"python -m ((?:{})[\w.]*)".format("|".join(ROOMS)), page.read_text())):
            place = ROOT.joinpath(*module.rstrip(".").split("."))
            runs = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
            assert runs, f"{page.relative_to(ROOT)} names python -m {module}"


def test_links_between_documents_lead_somewhere() -> None:
    for page in (path for path in kept() if path.suffix == ".md"):
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)} links to {link}"


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_short_and_complete(path: Path) -> None:
    text = path.read_text()
    number = path.name[:4]
    assert text.startswith(f"# {number} ")
    assert [text.count(part) for part in PARTS] == [1, 1, 1, 1]
    assert [text.index(part) for part in PARTS] == sorted(text.index(part) for part in PARTS)
    assert len(text.splitlines()) <= 30
    assert f"decisions/{path.name}" in (ROOT / "docs" / "README.md").read_text()


def test_decisions_are_numbered_without_a_gap_or_a_twin() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_no_file_names_this_machine_or_leaves_work_behind() -> None:
    words = re.compile("/" + "work/|" + "TO" + "DO|" + "FIX" + "ME")
    for path in (path for path in kept() if path.suffix in {".py", ".md", ".sh", ".toml", ".java", ".yaml"}):
        found = words.search(path.read_text())
        assert found is None, f"{path.relative_to(ROOT)}: {found and found.group()}"
