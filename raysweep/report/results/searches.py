"""A study's searches: what the launch planned to search, and every trial as MLflow has it. Plain values only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

TUNING = "tuning"
"""The axis of a search study that says whether an arm is as it is or at the best point found for it."""

SEARCHED = "searched"

TrialState = Literal["complete", "pruned", "failed", "stopped", "running"]
Value = str | float | bool | None
"""A value of a field. Integers are floats here only by type: `3` stays `3`."""


@dataclass(frozen=True)
class RangeRecord:
    """Where one field was searched. `low` and `high` are None for a choice.

    `when`: other fields and the values of theirs under which this one is set at all; empty: always.
    """

    path: str
    kind: Literal["uniform", "log", "int", "choice"]
    low: float | None = None
    high: float | None = None
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)

    @classmethod
    def from_plan(cls, path: str, range_: Mapping[str, Any]) -> RangeRecord:
        kind = range_["kind"]
        if kind not in ("uniform", "log", "int", "choice"):
            raise ValueError(f"search range {path!r}: unknown kind {kind!r}")
        choices = tuple(range_.get("choices") or ())
        low, high = (None, None) if kind == "choice" else (range_["low"], range_["high"])
        if kind == "choice" and not choices:
            raise ValueError(f"search range {path!r}: no choices")
        when = {str(other): tuple(values) for other, values in (range_.get("when") or {}).items()}
        return cls(path, kind, low, high, choices, when)


@dataclass(frozen=True)
class SearchArm:
    """What the launch's plan says of one arm's search. None: not known when the plan was written."""

    arm: str
    search: str
    counts: Mapping[str, int] = field(default_factory=dict)  # trials, complete, pruned, failed
    device_hours: float | None = None
    number: int | None = None  # of the trial whose point was chosen
    values: tuple[float, ...] = ()
    point: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def from_plan(cls, arm: str, told: Mapping[str, Any]) -> SearchArm:
        counts = {n: int(told[n]) for n in ("trials", "complete", "pruned", "failed") if told.get(n) is not None}
        hours, number = told.get("device_hours"), told.get("number")
        return cls(
            arm,
            str(told["search"]),
            counts,
            None if hours is None else float(hours),
            None if number is None else int(number),
            tuple(float(value) for value in told.get("value") or ()),
            dict(told.get("point") or {}),
        )


@dataclass(frozen=True)
class SearchPlan:
    """How a study searched inside its arms: `plan.json`'s "search", typed."""

    sampler: str
    stopper: str | None
    objectives: tuple[str, ...]
    directions: tuple[Literal["maximize", "minimize"], ...]  # one an objective
    replicate: int
    budget: Mapping[str, float | None]
    space: tuple[RangeRecord, ...]
    arms: tuple[SearchArm, ...]

    @classmethod
    def from_plan(cls, search: Mapping[str, Any]) -> SearchPlan:
        """From the parsed "search" of `plan.json`.

        Raises:
            KeyError, TypeError, ValueError: it does not follow the contract.
        """
        objectives, directions = tuple(search["objectives"]), tuple(search["directions"])
        if not objectives or len(objectives) != len(directions) or set(directions) - {"maximize", "minimize"}:
            raise ValueError(f"search: objectives {objectives} with directions {directions}")
        return cls(
            sampler=str(search["sampler"]),
            stopper=search.get("stopper"),
            objectives=objectives,
            directions=directions,
            replicate=int(search["replicate"]),
            budget=dict(search.get("budget") or {}),
            space=tuple(RangeRecord.from_plan(path, r) for path, r in search["space"].items()),
            arms=tuple(SearchArm.from_plan(arm, told) for arm, told in search["arms"].items()),
        )

    @property
    def signs(self) -> tuple[int, ...]:
        """1 where higher is better, -1 where lower is."""
        return tuple(1 if direction == "maximize" else -1 for direction in self.directions)


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

    told: SearchArm
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
