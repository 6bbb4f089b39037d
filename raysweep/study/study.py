"""`Study` and its axes. A study file declares one; a researcher can read and change it in a minute."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from raysweep.config.experiment import check_path
from raysweep.config.values import level_names
from raysweep.core.errors import UserError, unknown_name
from raysweep.core.formatting import arm_name
from raysweep.metrics.registry import METRICS

from .search import Search

TUNING = "tuning"
"""The axis that a finished search adds: an arm as it is ("default"), and at its best point ("searched")."""


@dataclass(frozen=True)
class Yours:
    """What a level needs that only a user has, in words: `a file of weights`. Given by `--axis "AXIS=LEVEL=VALUE"`."""

    words: str


@dataclass(frozen=True)
class Axis:
    """One thing that is varied: a name, and by level what is changed in the experiment.

    `own`: where the user of a launch chose the levels, those of the study's file (none for an axis that it lacks).
    `offered`: further levels, for data that have what they need, which a user may choose by name (`--axis`); one with a
    value that is `Yours` by `LEVEL=VALUE`. `paper_scale`: which of those offered are part of the study under the preset
    `paper`, whose size they need.

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
        for word in (self.name, *self.levels):
            if not isinstance(word, str) or not word.strip() or ("'" in word and '"' in word):
                raise UserError(
                    f"axis {self.name!r}: a name is text, and holds one kind of quotes at most, but got {word!r}"
                )

    @classmethod
    def of(cls, path: str, values: Sequence[Any], name: str | None = None) -> Axis:
        """An axis over the values of one field; its name is the field's last word.

        Raises:
            UserError: no such field, a value that it cannot have, or the same value twice.
        """
        levels = {level: {path: value} for level, value in level_names(path, values).items()}
        return cls(name or path.split(".")[-1], levels)

    @property
    def asked(self) -> bool:
        """Whether the user of a launch chose the levels."""
        return self.own is not None

    def at(self, preset: str) -> Axis:
        """The axis with the levels that it has under this preset. A user who chose levels has chosen all of them."""
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
    """One combination of levels. `coordinates` by axis name; `changes` by field path."""

    coordinates: Mapping[str, str]
    changes: Mapping[str, Any]

    @property
    def name(self) -> str:
        """For example "noise=0.3, method=Gaussian"."""
        return arm_name(self.coordinates)


@dataclass(frozen=True)
class StudyOrigin:
    """Where a study comes from: its file, and a digest of what that says (`raysweep.study.identity`)."""

    file: str = ""
    content: str = ""


@dataclass(frozen=True)
class Study:
    """A question and everything needed to answer it.

    Args:
        title: what a reader sees above the table.
        source: the published table it reproduces, for example "DDAF, Table 4".
        axes: what is varied; the arms are all combinations.
        reference: axis name to level: every arm is compared with the one that has this level there
            and is equal elsewhere.
        base: fields that differ from the preset for every arm.
        metric: the headline score, a name of `raysweep.metrics.registry.METRICS`. It chooses the epoch, too
            (`selection.metric`), unless it is a score of labels, which no epoch has.
        published: name of the paper's numbers that stand beside ours (`raysweep.report.published`).
        columns: scores the table shows, the headline's among them.
        notes: sentences for the caption.
        paper: whose recipe a preset gives, "DDAF" or "DCJT".
        search: what is searched inside each arm, on validation images; then the table compares every arm as it is
            with its best point. A study whose only question is the search needs no axes.
        found: after the search, by name of the arm: its best point (see `tuned`).
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

    def at(self, preset: str) -> Study:
        """The study with the arms that it has under this preset."""
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

        After a search that found nothing for an arm (all its trials failed), that arm has no "searched".
        """
        combinations = itertools.product(*(axis.levels.items() for axis in self.axes))
        arms = [self._arm(combination) for combination in combinations]
        return [self._at_best(arm) for arm in arms if not _is_searched(arm) or _untuned(arm).name in self.found]

    def tuned(self, found: Mapping[str, Mapping[str, Any]]) -> Study:
        """The study that the table of a search is made of: one more axis, every arm as it is and at its best point.

        Args:
            found: name of the arm to the changes that its search found best.
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
    """The arm that was searched."""
    return replace(arm, coordinates={axis: level for axis, level in arm.coordinates.items() if axis != TUNING})
