"""What a user asks of a launch, besides the study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Wishes:
    """What the user asked of a launch besides the study: how it was typed, where it runs, is tracked and reported."""

    command: str
    address: str | None = None
    devices_per_trial: int = 1
    tracking: str | None = None
    out: Path | None = None
