"""What a user asks of a launch, besides the study."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class LaunchOptions:
    """What the user asked of a launch besides the study: how it was typed, where it runs, is tracked and reported.

    `stdout` is taken at the beginning: while Ray runs, `sys.stdout` leads elsewhere.
    """

    command: str
    address: str | None = None
    devices_per_trial: int = 1
    tracking: str | None = None
    out: Path | None = None
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
