"""`Search`: space, sampler and budget of a hyperparameter search inside each arm of a study.

search=Search(
    space={
        "train.learning_rate": LogUniform(1e-4, 1e-2),
        "labels.method": Choice(["one_hot", "euclidean", "gaussian"]),
        "labels.alpha": Uniform(0, 1).when("labels.method", ["euclidean", "gaussian"]),
    },
    start=[{}, {"labels.method": "gaussian", "labels.alpha": 0.5}],
)
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any, Literal, get_args

from raysweep.config.experiment import Experiment, check_path, field_choices
from raysweep.config.sections import SHARES
from raysweep.core.errors import UserError, unknown_name
from raysweep.metrics.registry import METRICS, needing

from .search_space import Range, same_value

Sampler = Literal["tpe", "gp", "cmaes", "nsga2", "random"]
Stopper = Literal["asha", "median"]
Direction = Literal["minimize", "maximize"]

PACKAGES = {"gp": ("torch", "scipy"), "cmaes": ("cmaes",)}
"""Packages that a sampler needs."""

NO_CONDITIONS = ("gp", "cmaes", "nsga2")
"""Samplers that cannot model conditional fields and would draw them at random."""

FORBIDDEN = {
    "seeds.": "the replicate sets the seeds",
    "data.": "points are compared on the same images",
    "joint.finetune": "points are compared on the same images",
    "selection.protocol": "a search selects on validation images",
    "selection.validation": "points are compared on the same validation images",
}
"""Prefixes of fields that cannot be searched, with the reason."""

PROBES = 128
"""Number of corners of the space that are validated for an arm before any training."""


@dataclass(frozen=True)
class Budget:
    """Budget of one arm's search: trials, device-hours, or both, whichever is used up first."""

    trials: int | None
    device_hours: float | None = None


@dataclass(frozen=True)
class Search:
    """A hyperparameter search inside each arm, on validation images only.

    Args:
        space: field path to range. Other fields keep the arm's values.
        sampler: "tpe" and "random" support everything; "gp" (Gaussian process; packages torch and scipy) no conditions;
            "cmaes" (package cmaes) only numbers, no conditions and one objective; "nsga2" several objectives and no
            conditions (with populations of 20 it needs 40 trials or more).
        objectives: scores of the headline weights on validation images. With several, the best trial is that of the
            Pareto front that is best in the first.
        stopper: early stopping by "asha" (Tune) or "median" (Optuna's pruner); one objective only.
        trials, device_hours: budget per arm; if both are None, the preset's trials.
        start: points tried first. Fields that a point leaves out have the arm's values; {} is the arm itself.
        replicate: the replicate to search on; the table uses others.

    Raises:
        UserError: an invalid range, condition or combination.
    """

    space: Mapping[str, Range]
    sampler: Sampler = "tpe"
    objectives: Sequence[str] = ("macro_f1",)
    stopper: Stopper | None = "asha"
    trials: int | None = None
    device_hours: float | None = None
    start: Sequence[Mapping[str, Any]] = ({},)
    replicate: int = 0

    def __post_init__(self) -> None:
        if not self.space:
            raise UserError("a search needs at least one field in its space")
        for path, values in self.space.items():
            self._check_range(path, values)
        _ = self.order
        self._check_goal()
        self._check_sampler()
        for point in self.start:
            for path in point:
                if path not in self.space:
                    raise unknown_name("searched field in a start point", path, self.space)

    @property
    def directions(self) -> list[Direction]:
        """Optuna's direction of each objective."""
        return ["maximize" if METRICS[name].higher_is_better else "minimize" for name in self.objectives]

    @cached_property
    def order(self) -> list[str]:
        """The fields, each after those that its conditions name."""
        placed: list[str] = []
        left = list(self.space)
        while left:
            ready = [p for p in left if not any(c in left for c in self.space[p].conditions)]
            if not ready:
                raise UserError(f"conditions of searched fields are circular: {', '.join(left)}")
            placed.append(ready[0])
            left.remove(ready[0])
        return placed

    def point(self, experiment: Experiment, draw: Callable[[str, Range], Any]) -> dict[str, Any]:
        """Call `draw` for every field whose conditions hold in this arm; the others keep the arm's values."""
        point: dict[str, Any] = {}
        for path in self.order:
            values = self.space[path]
            if all(
                any(same_value(point.get(other, own_value(experiment, other)), value) for value in allowed)
                for other, allowed in values.conditions.items()
            ):
                point[path] = draw(path, values)
        return point

    def start_points(self, experiment: Experiment) -> list[dict[str, Any]]:
        """The distinct start points, completed with the arm's values. Raises UserError outside a range."""
        points: list[dict[str, Any]] = []
        for given in self.start:
            point = self.point(experiment, lambda path, values, given=given: _started(given, path, values, experiment))  # type: ignore[misc]
            if point not in points:
                points.append(point)
        return points

    def check_arm(self, name: str, experiment: Experiment) -> None:
        """Raises UserError if the protocol, a start point or a corner of the space is invalid in this arm."""
        where = f"{name}: " if name else ""
        protocol = experiment.selection.protocol
        if protocol != "validation":
            raise UserError(
                f"{where}a search selects on validation images, but selection.protocol is {protocol!r}: "
                "add --set selection.protocol=validation"
            )
        try:
            self._try_corners(experiment)
            self.start_points(experiment)
        except UserError as error:
            raise UserError(f"{where}{error}") from None

    def describe(self, budget: Budget) -> dict[str, Any]:
        """Plain values for plan.json, without the arms."""
        return {
            "sampler": self.sampler,
            "objectives": list(self.objectives),
            "directions": self.directions,
            "budget": {"trials": budget.trials, "device_hours": budget.device_hours},
            "replicate": self.replicate,
            "stopper": self.stopper,
            "space": {path: values.describe() for path, values in self.space.items()},
        }

    def _check_range(self, path: str, values: Range) -> None:
        check_path(path)
        for start, reason in FORBIDDEN.items():
            if path.startswith(start):
                raise UserError(f"{path} cannot be searched: {reason}")
        fault = values.fault()
        if fault:
            raise UserError(f"search range of {path}: {fault}")
        for other, allowed in values.conditions.items():
            check_path(other)
            for value in allowed:
                self._check_condition(path, other, value)

    def _check_condition(self, path: str, other: str, value: Any) -> None:
        """Raises UserError if a condition names a value that its field cannot have."""
        if other in self.space:
            if not self.space[other].holds(value):
                text = self.space[other].phrase()
                raise UserError(f"{path} is searched when {other} is {value!r}, but that is searched {text}")
        elif field_choices(other) and value not in field_choices(other):
            raise unknown_name(f"value of {other} in the condition of {path}:", str(value), field_choices(other))

    def _check_goal(self) -> None:
        scores = [name for name in METRICS if name not in needing("labels")]
        for name in self.objectives:
            if name not in scores:
                raise unknown_name("objective", name, scores)
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise UserError(f"a search needs different objectives, but got {list(self.objectives)}")
        if self.stopper is not None and self.stopper not in get_args(Stopper):
            raise unknown_name("stopper", str(self.stopper), get_args(Stopper), "or None")
        if self.stopper and len(self.objectives) > 1:
            raise UserError(
                f"stopper {self.stopper!r} compares one score, but there are {len(self.objectives)} objectives: "
                "set stopper=None"
            )
        for name, value in (("trials", self.trials), ("device_hours", self.device_hours)):
            if value is not None and value <= 0:
                raise UserError(f"`{name} > 0` must hold for a search, but got {value:g}")
        if self.replicate < 0:
            raise UserError(f"`replicate >= 0` must hold for a search, but got {self.replicate}")

    def _check_sampler(self) -> None:
        if self.sampler not in get_args(Sampler):
            raise unknown_name("sampler", str(self.sampler), get_args(Sampler))
        for package in PACKAGES.get(self.sampler, ()):
            if find_spec(package) is None:
                raise UserError(f"sampler {self.sampler!r} needs the package {package}: pip install {package}")
        conditional = [path for path, values in self.space.items() if values.conditions]
        if conditional and self.sampler in NO_CONDITIONS:
            raise UserError(
                f"sampler {self.sampler!r} cannot search conditional fields, but {conditional[0]} is one: use tpe"
            )
        parts = [path for path, values in self.space.items() if not values.numeric]
        if parts and self.sampler == "cmaes":
            raise UserError(f"sampler 'cmaes' searches numbers only, but {parts[0]} is a choice: use tpe or gp")
        if self.sampler == "cmaes" and len(self.space) < 2:
            raise UserError("sampler 'cmaes' needs two fields or more, but got one: use tpe or gp")
        if self.sampler == "cmaes" and len(self.objectives) > 1:
            raise UserError("sampler 'cmaes' takes one objective: use nsga2 or tpe for several")
        if self.sampler == "nsga2" and len(self.objectives) < 2:
            raise UserError("sampler 'nsga2' is for several objectives, but there is one: use tpe")

    def _try_corners(self, experiment: Experiment) -> None:
        """Validate many combinations of range ends. Raises UserError for the first invalid one."""
        draws = random.Random(0)
        for _ in range(PROBES):
            point = self.point(experiment, lambda path, values: draws.choice(values.probes()))
            try:
                experiment.with_changes(point)
            except UserError as error:
                text = ", ".join(f"{path}={_short(value)}" for path, value in point.items())
                raise UserError(f"a point of the search space cannot be trained: {error} (at {text})") from None


def own_value(experiment: Experiment, path: str) -> Any:
    """The value that an experiment has at a field path."""
    section, name = path.split(".")
    return getattr(getattr(experiment, section), name)


def _started(given: Mapping[str, Any], path: str, values: Range, experiment: Experiment) -> Any:
    """The value of a start point at a field: given, or the arm's."""
    value = given[path] if path in given else own_value(experiment, path)
    share = value / experiment.train.epochs if path in SHARES and value is not None else None
    if path not in given and share is not None and not values.holds(value) and values.holds(share):
        return share
    if not values.holds(value):
        if path not in given and share is not None and value >= 1:
            raise UserError(_share_fault(path, values, value, experiment.train.epochs))
        whose = "a start point" if path in given else "the arm's own value, which a start point does not change"
        raise UserError(f"{whose}: {path} is searched {values.phrase()}, but got {value}")
    return value


def _share_fault(path: str, values: Range, value: float, epochs: int) -> str:
    """The error for an arm's number of epochs that, as a share of all, is outside the searched range."""
    share = f"{path}={value:g} of train.epochs={epochs} is a share of {value / epochs:.3g}"
    bounds = values.describe()
    low, high = bounds.get("low"), bounds.get("high")
    if high and value / epochs > high:
        remedy = f"too few epochs: set train.epochs={math.ceil(value / high)} or more, or lower {path}"
    elif low:
        remedy = f"too many epochs: set train.epochs={math.floor(value / low)} or fewer, or raise {path}"
    else:
        remedy = f"set {path} to a share that is"
    return f"{share}, but shares are searched {values.phrase()}: {remedy}"


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
