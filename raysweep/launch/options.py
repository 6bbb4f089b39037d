"""Options of a launch besides the study."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # mlflow takes seconds
    from raysweep.tracking.working_copy import WorkingCopy


@dataclass(frozen=True)
class LaunchOptions:
    """The command as typed, and where a launch runs, is tracked and is reported.

    `worker`: one of several launches that share a store: it ends when others compute all that is left, and writes no
    report. `deferred`: its events stay in the journal. `report_only`: trains nothing. `database`: where MLflow's store
    is opened, if not at `tracking` itself (see `raysweep.tracking.working_copy`). `stdout` is kept from the start:
    while Ray runs, `sys.stdout` is redirected.
    """

    command: str
    address: str | None = None
    devices_per_trial: int = 1
    wait_for: int = 0
    tracking: str | None = None
    out: Path | None = None
    worker: bool = False
    deferred: bool = False
    report_only: bool = False
    database: WorkingCopy | None = None
    stdout: TextIO = field(default_factory=lambda: sys.stdout)

    @property
    def opened_at(self) -> str | None:
        """MLflow's address as it is opened; None: the default."""
        return self.database.uri if self.database else self.tracking
