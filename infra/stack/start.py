"""Starts units side by side as far as their dependencies allow, and watches each until it works."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence

from contracts.settings import Settings
from infra.stack.ports import is_free, owner
from infra.stack.supervisor import Process, Supervisor, log_file
from infra.stack.unit import StackError, Unit

POLL_SECONDS = 0.1
LOG_LINES = 10


class Start:
    """One start of some units, which supervisord knows already; `say` receives a line per unit that came up."""

    def __init__(
        self, settings: Settings, supervisor: Supervisor, wanted: Sequence[Unit], say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._wanted = wanted
        self._say = say
        self._began: dict[str, float] = {}
        self._new: set[str] = set()
        self._healthy: set[str] = set()

    def run(self) -> None:
        """Return when every unit works.

        Raises:
            StackError: a port is in use, a file is missing, or a unit died or did not become healthy.
        """
        while len(self._healthy) < len(self._wanted) or not self._all_alive():
            processes = self._supervisor.processes()
            for unit in self._wanted:
                if unit.name not in self._healthy and self._healthy.issuperset(unit.depends_on):
                    self._advance(unit, processes)
            time.sleep(POLL_SECONDS)

    def _all_alive(self) -> bool:
        """Whether what worked still does; what has ended since is started once."""
        processes = self._supervisor.processes()
        for unit in self._wanted:
            if self._has_ended(unit, processes[unit.name]):
                self._start_once_more(unit, processes[unit.name])
        return len(self._healthy) == len(self._wanted)

    def _advance(self, unit: Unit, processes: Mapping[str, Process]) -> None:
        if unit.name not in self._began:
            if self._needs_start(unit, processes.get(unit.name)):
                self._spawn(unit)
            self._began[unit.name] = time.monotonic()
        elif unit.once != processes[unit.name].running and unit.healthy():
            self._healthy.add(unit.name)
            if unit.name in self._new:
                self._say(f"{unit.name}: up after {time.monotonic() - self._began[unit.name]:.1f} s")
        elif self._has_ended(unit, processes[unit.name]):
            self._start_once_more(unit, processes[unit.name])
        elif time.monotonic() - self._began[unit.name] > unit.limit_seconds:
            what = f"did not become healthy within {unit.limit_seconds:.0f} s"
            raise StackError(self._post_mortem(unit, what))

    def _needs_start(self, unit: Unit, process: Process | None) -> bool:
        running = process is not None and process.running
        return not running and not (unit.once and unit.healthy())

    def _spawn(self, unit: Unit) -> None:
        check_needs(unit)
        check_ports(self._settings, unit)
        unit.prepare()
        self._supervisor.start(unit.name)
        self._new.add(unit.name)

    def _has_ended(self, unit: Unit, process: Process) -> bool:
        ended_well = unit.once and process.exit_code in (None, 0)
        return not process.running and not ended_well

    def _start_once_more(self, unit: Unit, process: Process) -> None:
        """A unit that ran before may end of what others did (a TaskManager of a Kafka that went away); one that is new may not.

        Raises:
            StackError: it was started here already.
        """
        if unit.name in self._new:
            raise StackError(self._post_mortem(unit, f"died while starting ({process.detail or 'stopped'})"))
        self._healthy.discard(unit.name)
        self._spawn(unit)
        self._began[unit.name] = time.monotonic()

    def _post_mortem(self, unit: Unit, what: str) -> str:
        log = log_file(self._settings, unit.name)
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.is_file() else []
        return "\n".join([f"{unit.name}: {what}; its log: {log}", *(f"  | {line}" for line in lines)])


def check_needs(unit: Unit) -> None:
    """See that the unit's program and files are there.

    Raises:
        StackError: one is not; the message names it and says `make setup`.
    """
    if shutil.which(unit.command[0]) is None:
        raise StackError(f"{unit.name}: {unit.command[0]} is not installed; run `make setup`")
    for path in unit.needs:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            raise StackError(f"{unit.name}: {path} is missing; run `make setup`")


def check_ports(settings: Settings, unit: Unit) -> None:
    """See that nothing else listens where the unit wants to.

    Raises:
        StackError: something does; the message names unit, port and who.
    """
    for name in unit.ports:
        port = settings.port(name)
        if not is_free(settings.host, port):
            raise StackError(
                f"{unit.name}: port {port} ({name}) is in use by {owner(port)}; "
                "stop it or choose other ports with BRAID_PORT_BASE"
            )
