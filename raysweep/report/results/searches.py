"""Records of a study's searches and their trials from MLflow."""

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
    """One trial from MLflow.

    `values`: the objectives on validation images; empty unless the trial is complete and all are finite.
    `last`: the last values of the objectives in the trial's curve, by name (all that a pruned trial has).
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
    """One arm's search: its plan, its trials in order, and sentences on problems in reading them."""

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
        """Number of trials by state, and of all as "trials", from the plan if it has them."""
        if "trials" in self.told.counts:
            return dict(self.told.counts)
        return {"trials": len(self.trials), **Counter(trial.state for trial in self.trials)}

    @property
    def device_hours(self) -> float | None:
        """From the plan, else summed over trials; None if no trial has it."""
        if self.told.device_hours is not None:
            return self.told.device_hours
        seconds = [trial.seconds for trial in self.trials if trial.seconds is not None]
        return math.fsum(seconds) / 3600 if seconds else None

    @property
    def chosen(self) -> TrialRecord | None:
        """The trial whose point is replicated; None if the plan names none or MLflow lacks it."""
        return next((trial for trial in self.trials if trial.number == self.told.number), None)


def best_trials(trials: Sequence[TrialRecord], sign: int) -> TrialRecord:
    """The best of scored trials with one objective; of equal ones the first."""
    return max(trials, key=lambda trial: (sign * trial.values[0], -trial.number))
