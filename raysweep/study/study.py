"""`Study` and its axes, as declared in a study file."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from raysweep.artifacts.declared_table import Table
from raysweep.config.experiment import check_path
from raysweep.config.values import level_names
from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import METRICS

from .search import Search
from .tables import check_tables

TUNING = "tuning"
"""The axis that a finished search adds: the arm itself ("default"), and with its best point ("searched")."""


@dataclass(frozen=True)
class Yours:
    """A value that only a user can give, with `--axis "AXIS=LEVEL=VALUE"`. `words`: its description."""

    words: str


@dataclass(frozen=True)
class Axis:
    """A varied factor: a name, and the changed fields of every level.

    `own`: the levels of the study's file if the user chose others (empty for an added axis). `offered`: further levels
    that a user may choose with `--axis`, by name or, for a value that is `Yours`, by `LEVEL=VALUE`. `paper_scale`:
    offered levels that belong to the study under the preset `paper`.

    Two ways to write one:

        Axis.of("labels.alpha", [0, 0.3, 0.5, 0.7, 1])
        Axis("method", {"one-hot": {"labels.method": "one_hot"}, "Gaussian": {"labels.method": "gaussian"}})
    """

    name: str
    levels: Mapping[str, Mapping[str, Any]]
    own: Mapping[str, Mapping[str, Any]] | None = None
    offered: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    paper_scale: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.levels:
            raise UserError(f"axis {self.name!r} needs at least one level")
        for name in (self.name, *self.levels):
            if not isinstance(name, str) or not name.strip() or ("'" in name and '"' in name):
                raise UserError(f"axis {self.name!r}: a name is text with at most one kind of quotes, but got {name!r}")

    @classmethod
    def of(cls, path: str, values: Sequence[Any], name: str | None = None) -> Axis:
        """An axis over the values of one field; its default name is that of the field without its section.

        Raises:
            UserError: no such field, an invalid value, or the same value twice.
        """
        levels = {level: {path: value} for level, value in level_names(path, values).items()}
        return cls(name or path.split(".")[-1], levels)

    @property
    def asked(self) -> bool:
        """Whether the user of a launch chose the levels."""
        return self.own is not None

    def at(self, preset: str) -> Axis:
        """The axis with its levels under this preset; levels chosen by a user are kept."""
        if preset != "paper" or self.asked or not self.paper_scale:
            return self
        return replace(self, levels={**self.levels, **{name: self.offered[name] for name in self.paper_scale}})

    def sets(self, path: str) -> bool:
        """Whether any level changes this field."""
        return any(path in changes for changes in self.levels.values())

    def is_over(self, path: str) -> bool:
        """Whether the levels are values of this one field."""
        return {field for changes in self.levels.values() for field in changes} == {path}


@dataclass(frozen=True)
class Arm:
    """One combination of levels. `coordinates`: axis name to level; `changes`: field path to value."""

    coordinates: Mapping[str, str]
    changes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For example "noise=0.3, method=Gaussian"."""
        return arm_name(self.coordinates)


@dataclass(frozen=True)
class StudyOrigin:
    """A study's file, and the digest of its contents (`raysweep.study.identity`)."""

    file: str = ""
    content: str = ""


@dataclass(frozen=True)
class Study:
    """The arms of an experiment, their comparison, and the table to report.

    Args:
        title: title of the table.
        source: the published table it reproduces, for example "DDAF, Table 4".
        axes: the varied factors; the arms are all combinations of levels.
        reference: axis name to level; every arm is compared with the arm that has this level and is equal on the
            other axes.
        base: fields of every arm that differ from the preset.
        metric: the headline score, a name of `raysweep.metrics.registry.METRICS`. It also chooses the epoch
            (`selection.metric`), unless it is a score of adapted labels, which epochs do not have.
        published: name of the paper's numbers to show in the table (`raysweep.report.published`).
        columns: scores in the table, including the headline score.
        tables: layouts of the tables to show besides the one of all arms, in their order.
        notes: sentences for the caption.
        paper: the paper whose recipe a preset uses, "DDAF" or "DCJT".
        search: hyperparameter search inside each arm, on validation images; the table then compares every arm with its
            best point. A study with a search needs no axes.
        found: arm name to its best point, after the search (see `tuned`).
        origin: set when the study is read from its file.
    """

    title: str
    axes: Sequence[Axis] = ()
    reference: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    base: Mapping[str, Any] = field(default_factory=dict)
    metric: str = "macro_f1"
    published: str | None = None
    columns: Sequence[str] = ("rmse_valence", "rmse_arousal", "accuracy", "macro_f1", "ece")
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    paper: Literal["DDAF", "DCJT"] = "DDAF"
    search: Search | None = None
    found: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    origin: StudyOrigin = StudyOrigin()

    def __post_init__(self) -> None:
        names = [axis.name for axis in self.axes]
        if not self.axes and self.search is None:
            raise UserError("a study needs an axis, or a search")
        if TUNING in names and not self.found:
            raise UserError(f"an axis cannot be called {TUNING!r}: a search adds one of that name")
        if len(set(names)) < len(names):
            raise UserError(
                f"axes need different names, but they are {', '.join(names)}: name one, Axis.of(..., name=...)"
            )
        for column in (self.metric, *self.columns):
            if column not in METRICS:
                raise unknown_name("score", column, METRICS)
        for name, level in self.reference.items():
            axis = self.axis(name)
            if level not in axis.levels:
                raise unknown_name(f"level of axis {name!r} in the study's reference:", level, axis.levels)
        for path in {*self.base, *(path for arm in self.arms() for path in arm.changes)}:
            check_path(path)
        check_tables(self)

    def at(self, preset: str) -> Study:
        """The study with its arms under this preset."""
        return replace(self, axes=[axis.at(preset) for axis in self.axes])

    def axis(self, name: str) -> Axis:
        """The axis of that name. Raises UserError with the nearest name."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        if not self.axes:
            raise UserError(f"the study names an axis {name!r}, but it has none")
        raise unknown_name("axis", name, [axis.name for axis in self.axes])

    def arms(self) -> list[Arm]:
        """Every combination of levels, the last axis varying fastest.

        An arm whose search found no point (all trials failed) has no "searched" level.
        """
        combinations = itertools.product(*(axis.levels.items() for axis in self.axes))
        arms = [self._arm(combination) for combination in combinations]
        return [self._at_best(arm) for arm in arms if not _is_searched(arm) or _untuned(arm).name in self.found]

    def tuned(self, found: Mapping[str, Mapping[str, Any]]) -> Study:
        """The study of a search's table: one more axis with every arm itself and with its best point.

        Args:
            found: arm name to the fields of its best point.
        """
        assert self.search is not None
        assert found
        axis = Axis(TUNING, {"default": {}, "searched": {}})
        reference = {**self.reference, TUNING: "default"}
        return replace(self, axes=[*self.axes, axis], reference=reference, found=found)

    @property
    def is_tuned(self) -> bool:
        return bool(self.found)

    def reference_of(self, coordinates: Mapping[str, str]) -> dict[str, str]:
        """The coordinates of the arm this one is compared with (its own, for a reference arm)."""
        return {**coordinates, **self.reference}

    def _arm(self, combination: Sequence[tuple[str, Mapping[str, Any]]]) -> Arm:
        coordinates = {axis.name: level for axis, (level, _) in zip(self.axes, combination, strict=True)}
        changes: dict[str, Any] = {}
        for _, level_changes in combination:
            changes |= level_changes
        return Arm(coordinates, changes)

    def _at_best(self, arm: Arm) -> Arm:
        if not _is_searched(arm):
            return arm
        return replace(arm, changes={**arm.changes, **self.found[_untuned(arm).name]})


def _is_searched(arm: Arm) -> bool:
    return arm.coordinates.get(TUNING) == "searched"


def _untuned(arm: Arm) -> Arm:
    """The arm without the tuning axis."""
    return replace(arm, coordinates={axis: level for axis, level in arm.coordinates.items() if axis != TUNING})
