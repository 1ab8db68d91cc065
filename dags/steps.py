"""One operator for all tasks: it runs a room's commands for the run's cut."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from contracts.errors import GateError, SettingsError
from contracts.settings import from_environment
from dags.runner import Runner, run_command, runner_named

CUT = "{cut}"
"""Stands for the run's cut in a command."""

log = logging.getLogger(__name__)


class RoomStep(BaseOperator):
    """Runs `commands` one after the other; a refused day or command fails at once, the rest is tried again.

    What `options_from` makes of the run's context is added to each command.
    """

    def __init__(
        self,
        *,
        commands: Sequence[Sequence[str]],
        cut_from: Callable[[Any], date],
        options_from: Callable[[Any], Sequence[str]] = lambda context: (),
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        self.options_from = options_from
        self.commands = [list(command) for command in commands]
        self.cut_from = cut_from
        self._runner: Runner | None = None

    def execute(self, context: Any) -> None:
        try:
            cut = self.cut_from(context).isoformat()
            self._runner = runner_named(from_environment().runner)
            for command in self.commands:
                filled = [part.replace(CUT, cut) for part in command]
                run_command(self._runner, [*filled, *self.options_from(context)], log.info)
        except (GateError, SettingsError) as refused:
            raise AirflowFailException(str(refused)) from refused

    def on_kill(self) -> None:
        if self._runner is not None:
            self._runner.stop()
