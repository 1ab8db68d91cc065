"""The local stack: starts what is asked for and missing, waits until it works, stops exactly that."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from contracts.settings import ROOT, Settings
from infra.stack.ports import all_free, is_free, owner
from infra.stack.start import POLL_SECONDS, Start
from infra.stack.supervisor import Process, Supervisor, log_file
from infra.stack.unit import StackError, Status, Unit, stop_waves, with_dependencies
from infra.stack.units import DEFAULT, all_units, environment

ELSEWHERE = {
    "redis": "redis_address",
    "kafka": "kafka_address",
    "flink-jobmanager": "stream_address",
    "scorer": "scorer_address",
}
"""Units, and the setting that says that one runs somewhere else."""


class LocalStack:
    """The processes of one `Settings`, under one supervisord.

    `units` replaces the project's own units (`infra.stack.units.all_units`); `root` is where `jars/` lies; `say`
    receives a line per event.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        units: Mapping[str, Unit] | None = None,
        root: Path = ROOT,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._settings = settings
        self._given = units
        self._root = root
        self._say = say
        self._supervisor = Supervisor(settings)

    def up(self, names: Sequence[str] = DEFAULT) -> None:
        """Start the named units and what they depend on, as far as they are not running, and wait until all work.

        Raises:
            StackError: the settings say that a unit runs elsewhere, a port is in use, a file is missing, or a unit
                died or did not become healthy.
        """
        wanted = with_dependencies(self._units(names), tuple(names))
        self._refuse_what_is_elsewhere(wanted)
        with self._alone():
            self._declare(wanted)
            Start(self._settings, self._supervisor, wanted, self._say).run()

    def down(self, names: Sequence[str] | None = None) -> None:
        """Stop the named units, else everything with supervisord itself; returns when their ports are free."""
        with self._alone():
            processes = self._supervisor.processes()
            units = self._units(tuple(processes))
            chosen = set(processes) if names is None else set(names) & set(processes)
            for wave in stop_waves(units, chosen):
                self._supervisor.stop([name for name in wave if processes[name].running])
            if names is None:
                self._supervisor.shutdown()
            self._wait_for_free_ports([units[name] for name in chosen if name in units])

    def status(self) -> list[Status]:
        """Every unit that is declared by default or was started since, in the order of their declaration."""
        processes = self._supervisor.processes()
        units = self._units(tuple(processes))
        shown = [name for name in units if self._given is not None or name in DEFAULT or name in processes]
        return [self._status(units[name], processes.get(name)) for name in shown]

    def _refuse_what_is_elsewhere(self, wanted: Sequence[Unit]) -> None:
        """A stack of one's own beside a cluster's settings would read and write the cluster's."""
        for unit in wanted:
            address = getattr(self._settings, ELSEWHERE.get(unit.name, ""), None)
            if address is not None:
                raise StackError(
                    f"{unit.name}: the settings say that it runs at {address}; "
                    "to run it here, leave its address out of the file of BRAID_SETTINGS"
                )

    def _units(self, names: Sequence[str]) -> Mapping[str, Unit]:
        if self._given is not None:
            return self._given
        return all_units(
            self._settings, self._root, airflow=any(name.startswith("airflow") for name in names)
        )

    def _declare(self, wanted: Sequence[Unit]) -> None:
        """Declare the wanted units beside those that supervisord knows already."""
        known = tuple(self._supervisor.processes())
        units = self._units((*known, *(unit.name for unit in wanted)))
        declared = {unit.name: unit for unit in wanted} | {
            name: units[name] for name in known if name in units
        }
        self._supervisor.declare(list(declared.values()), environment(self._settings))

    def _status(self, unit: Unit, process: Process | None) -> Status:
        return Status(
            name=unit.name,
            state=_state(unit, process),
            pid=process.pid if process else None,
            ports=tuple(self._settings.port(name) for name in unit.ports),
            log=log_file(self._settings, unit.name),
            detail=process.detail if process else "",
        )

    def _wait_for_free_ports(self, units: Sequence[Unit]) -> None:
        ports = {self._settings.port(name) for unit in units for name in unit.ports}
        deadline = time.monotonic() + 30
        while not all_free(self._settings.host, ports):
            if time.monotonic() > deadline:
                taken = [port for port in sorted(ports) if not is_free(self._settings.host, port)]
                raise StackError(
                    f"still in use after the stop: {', '.join(f'{p} by {owner(p)}' for p in taken)}"
                )
            time.sleep(POLL_SECONDS)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One `up` or `down` at a time for one `var`."""
        self._settings.run.mkdir(parents=True, exist_ok=True)
        with (self._settings.run / "stack.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _state(unit: Unit, process: Process | None) -> str:
    if process is None or not (process.started or process.running):
        return "stopped"
    if unit.once and not process.running:
        return "done" if unit.healthy() else "dead"
    if not process.running:
        return "dead"
    return "running" if unit.healthy() else "not answering"
