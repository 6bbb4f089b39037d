"""A study's searches: every trial as MLflow has it, beside what the launch planned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from raysweep.artifacts.study_record import PlannedArm, Value

TrialState = Literal["complete", "pruned", "failed", "stopped", "running"]


@dataclass(frozen=True)
class TrialRecord:
    """One point that was tried, as MLflow has it.

    `values`: the objectives on validation images, one each; empty unless the trial is complete and all are finite.
    `last`: the objectives as the trial's curve had them last, by name (a pruned trial has nothing else).
    """

    number: int
    state: TrialState
    point: Mapping[str, Value]
    values: tuple[float, ...] = ()
    last: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None
    cause: str = ""
    replicate: int | None = None
    launch: str = ""
    key: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class SearchRecord:
    """One arm's search: what the plan told of it, its trials in order, and what could not be read, as sentences."""

    told: PlannedArm
    trials: tuple[TrialRecord, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def arm(self) -> str:
        return self.told.arm

    @property
    def scored(self) -> tuple[TrialRecord, ...]:
        """Trials with finite objectives."""
        return tuple(trial for trial in self.trials if trial.values)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state, "trials" for all: as the plan told it, else counted."""
        if "trials" in self.told.counts:
            return dict(self.told.counts)
        return {"trials": len(self.trials), **Counter(trial.state for trial in self.trials)}

    @property
    def device_hours(self) -> float | None:
        """As the plan told it, else summed over trials; None where no trial says."""
        if self.told.device_hours is not None:
            return self.told.device_hours
        seconds = [trial.seconds for trial in self.trials if trial.seconds is not None]
        return math.fsum(seconds) / 3600 if seconds else None

    @property
    def chosen(self) -> TrialRecord | None:
        """The trial whose point is replicated, if the plan names one and MLflow has it."""
        return next((trial for trial in self.trials if trial.number == self.told.number), None)


def best_trials(trials: Sequence[TrialRecord], sign: int) -> TrialRecord:
    """The best of scored trials with one objective; of equal ones the first."""
    return max(trials, key=lambda trial: (sign * trial.values[0], -trial.number))
