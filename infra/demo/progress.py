"""What the terminal shows while the demo works: each step as it begins and its seconds as it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Prints steps with the time since the start and keeps their seconds for the report."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._started

    def say(self, text: str) -> None:
        """One line under the current step."""
        self.console.print(f"  {self._stamp()}  {text}", highlight=False)

    @contextmanager
    def step(self, name: str, what: str) -> Iterator[None]:
        """Announce a step, time it under `name` and say when it is done."""
        self.console.print(f"[bold]▸ {self._stamp()}  {what}[/bold]", highlight=False)
        started = time.perf_counter()
        with self.console.status(what):
            yield
        self.seconds[name] = round(time.perf_counter() - started, 1)
        self.console.print(
            f"  {self._stamp()}  done in {self.seconds[name]:.1f} s", style="green", highlight=False
        )

    def _stamp(self) -> str:
        minutes, seconds = divmod(int(self.elapsed), 60)
        return f"{minutes:02d}:{seconds:02d}"
