"""The one place that speaks with supervisord: renders its configuration, starts it, calls it, ends it."""

from __future__ import annotations

import configparser
import secrets
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from contracts.settings import ROOT, Settings
from infra.stack.ports import is_free, owner
from infra.stack.unit import StackError, Unit

UNREACHABLE = (OSError, xmlrpc.client.ProtocolError, xmlrpc.client.Fault)
OWN_SESSION = (sys.executable, "-I", "-S", str(Path(__file__).with_name("session.py")))
MARK = "BRAID_STACK"  # in the environment of every process of a stack: the `var` it belongs to


@dataclass(frozen=True, slots=True)
class Process:
    """What supervisord says of a unit."""

    name: str
    running: bool
    started: bool
    pid: int | None
    exit_code: int | None = None
    detail: str = ""


class Supervisor:
    """supervisord of one `var`, over loopback with a password that only the owner of `var` can read."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._config = settings.run / "supervisord.conf"

    def alive(self) -> bool:
        """True when our supervisord answers."""
        if not self._config.is_file():
            return False
        try:
            return bool(self._rpc().supervisor.getState()["statename"] == "RUNNING")
        except UNREACHABLE:
            return False

    def declare(self, units: Sequence[Unit], env: Mapping[str, str]) -> None:
        """Make supervisord know the units as they are declared now; starts it if need be, never a unit."""
        alive = self.alive()
        self._write(units, env)
        if alive:
            self._reload()
            return
        port = self._settings.port("supervisor")
        if not is_free(self._settings.host, port):
            raise StackError(
                f"supervisor: port {port} is in use by {owner(port)}; stop it or choose other ports with BRAID_PORT_BASE"
            )
        self._launch()

    def processes(self) -> dict[str, Process]:
        """Every declared unit's process; empty when supervisord is not running."""
        if not self.alive():
            return {}
        return {info["name"]: _process(info) for info in self._rpc().supervisor.getAllProcessInfo()}

    def start(self, name: str) -> None:
        """Start a unit that is not running.

        Raises:
            StackError: the process could not be spawned.
        """
        try:
            self._rpc().supervisor.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            raise StackError(f"{name}: cannot be started: {fault.faultString}") from fault

    def stop(self, names: Sequence[str]) -> None:
        """Stop the units together and wait until they have ended."""
        for name in names:
            try:
                self._rpc().supervisor.stopProcess(name, False)
            except xmlrpc.client.Fault as fault:
                if "NOT_RUNNING" not in fault.faultString:
                    raise StackError(f"{name}: cannot be stopped: {fault.faultString}") from fault
        while any(process.pid for name, process in self.processes().items() if name in names):
            time.sleep(0.1)

    def shutdown(self) -> None:
        """End supervisord, and whatever it had to leave behind (a killed supervisord leaves its units)."""
        if self.alive():
            self._rpc().supervisor.shutdown()
        deadline = time.monotonic() + 30
        while self.alive() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.end_orphans()

    def end_orphans(self) -> None:
        """End every process that carries this stack's mark, and that this process does not run under."""
        ours = {process.pid for process in psutil.Process().parents()} | {psutil.Process().pid}
        left = [
            process for process in psutil.process_iter() if process.pid not in ours and self._marked(process)
        ]
        for process in left:
            _signal(process.terminate)
        for process in psutil.wait_procs(left, timeout=10)[1]:
            _signal(process.kill)
        psutil.wait_procs(left, timeout=10)

    def _marked(self, process: psutil.Process) -> bool:
        try:
            return bool(process.environ().get(MARK) == str(self._settings.var))
        except (psutil.Error, OSError):
            return False

    def _rpc(self) -> Any:
        config = configparser.RawConfigParser(inline_comment_prefixes=None, strict=False)
        config.read(self._config)
        password = config["inet_http_server"]["password"]
        where = f"{self._settings.host}:{self._settings.port('supervisor')}"
        return xmlrpc.client.ServerProxy(f"http://braid:{password}@{where}/RPC2")

    def _reload(self) -> None:
        """Take over added and changed units; a running unit keeps what it was started with."""
        rpc = self._rpc().supervisor
        added, changed, _ = rpc.reloadConfig()[0]
        running = {name for name, process in self.processes().items() if process.running}
        for name in set(changed) - running:
            rpc.removeProcessGroup(name)
        for name in (set(changed) - running) | set(added):
            rpc.addProcessGroup(name)

    def _launch(self) -> None:
        self.end_orphans()
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(self._config)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        deadline = time.monotonic() + 20
        while not self.alive():
            if done.returncode != 0 or time.monotonic() > deadline:
                said = (done.stderr or done.stdout).strip()
                raise StackError(
                    f"supervisor: does not start: {said}; see {self._settings.logs / 'supervisord.log'}"
                )
            time.sleep(0.05)

    def _write(self, units: Sequence[Unit], env: Mapping[str, str]) -> None:
        self._settings.run.mkdir(parents=True, exist_ok=True)
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        text = render(self._settings, units, env, self._password())
        self._config.touch(mode=0o600)
        self._config.write_text(text)

    def _password(self) -> str:
        """Kept between runs: a running supervisord knows only the one it was started with."""
        path = self._settings.run / "supervisord.secret"
        if not path.is_file():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
        return path.read_text()


def render(settings: Settings, units: Sequence[Unit], env: Mapping[str, str], password: str) -> str:
    """supervisord's configuration: one program a unit, none started or restarted by itself."""
    return "\n\n".join([_head(settings, password), *(_program(settings, unit, env) for unit in units)]) + "\n"


def _head(settings: Settings, password: str) -> str:
    return f"""[inet_http_server]
port={settings.host}:{settings.port("supervisor")}
username=braid
password={password}

[supervisord]
logfile={_escape(str(settings.logs / "supervisord.log"))}
pidfile={_escape(str(settings.run / "supervisord.pid"))}
childlogdir={_escape(str(settings.logs))}
nodaemon=false
minfds=1024

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"""


def _program(settings: Settings, unit: Unit, env: Mapping[str, str]) -> str:
    variables = {**env, **unit.env, MARK: str(settings.var)}
    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in sorted(variables.items()))
    return f"""[program:{unit.name}]
command={_escape(shlex.join((*OWN_SESSION, str(unit.niceness), *unit.command)))}
directory={_escape(str(ROOT))}
environment={pairs}
autostart=false
autorestart=false
startsecs=0
startretries=0
stopasgroup=true
killasgroup=true
stopwaitsecs={unit.stop_seconds}
redirect_stderr=true
stdout_logfile={_escape(str(log_file(settings, unit.name)))}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1"""


def log_file(settings: Settings, name: str) -> Path:
    """Where a unit's output goes."""
    return settings.logs / f"{name}.log"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def _process(info: Mapping[str, Any]) -> Process:
    state = info["statename"]
    ended = state == "EXITED"
    return Process(
        name=info["name"],
        running=state in ("RUNNING", "STARTING", "STOPPING"),
        started=state != "STOPPED",
        pid=info["pid"] or None,
        exit_code=info["exitstatus"] if ended else None,
        detail=_end(info["exitstatus"]) if ended else info["spawnerr"],
    )


def _end(code: int) -> str:
    return "killed by a signal" if code < 0 else f"ended with code {code}"


def _signal(send: Any) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return
