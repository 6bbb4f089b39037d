"""Options of a launch besides the study."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class LaunchOptions:
    """The command as typed, and where a launch runs, is tracked and is reported.

    `stdout` is kept from the start: while Ray runs, `sys.stdout` is redirected.
    """

    command: str
    address: str | None = None
    devices_per_trial: int = 1
    wait_for: int = 0
    tracking: str | None = None
    out: Path | None = None
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
