"""From a study to cells: one experiment for every arm of every replicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.experiment import Experiment

from .presets import PRESETS
from .study import Arm, Axis, Study

PATHS = ("data.source", "model.weights", "joint.extra", "joint.finetune")
"""Fields that may hold a path."""

KEYWORDS = ("imagenet", "target", "faces")
"""Values of theirs that are never a path, also where a folder of that name lies about."""


@dataclass(frozen=True)
class Cell:
    """One arm of one replicate: what is trained and scored."""

    arm: Arm
    replicate: int
    experiment: Experiment
    key: str = ""

    @property
    def name(self) -> str:
        return f"{self.arm.name} #{self.replicate}"


def with_axis(study: Study, name: str, words: Sequence[str], values: Sequence[Any]) -> Study:
    """The study with one axis replaced, narrowed or added.

    `name` is a field path: the axis over it is replaced, or a new one added. Or it is an axis's
    name: `words` choose among its levels, or are values of its field when it has just one.
    """
    for i, axis in enumerate(study.axes):
        if name != axis.name and not axis.sets(name):
            continue
        axes = list(study.axes)
        axes[i] = _changed_axis(axis, name, words, values)
        reference = dict(study.reference)
        if axis.name in reference and reference[axis.name] not in axes[i].levels:
            raise UserError(
                f"--axis {name}: the study compares with {axis.name}={reference[axis.name]}, "
                f"so that level must stay among {', '.join(axes[i].levels)}"
            )
        return replace(study, axes=axes)
    if "." not in name:
        raise unknown_name("axis", name, [axis.name for axis in study.axes], "(or name a field, such as train.epochs)")
    return replace(study, axes=[*study.axes, Axis.of(name, values)])


def _changed_axis(axis: Axis, name: str, words: Sequence[str], values: Sequence[Any]) -> Axis:
    if all(word in axis.levels for word in words):
        return Axis(axis.name, {word: axis.levels[word] for word in words})
    paths = {path for changes in axis.levels.values() for path in changes}
    if len(paths) > 1:
        wrong = next(word for word in words if word not in axis.levels)
        raise unknown_name(f"level of axis {axis.name!r}:", wrong, axis.levels)
    return Axis.of(paths.pop(), values, axis.name)


def make_cells(study: Study, preset: str, replicates: Sequence[int], changes: Mapping[str, Any]) -> list[Cell]:
    """Cells without keys. Order of precedence: preset, the study's base, `changes`, the arm."""
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    swept = {path for arm in study.arms() for path in arm.changes}
    _check_paths(swept, {*changes, *study.base})
    for path in changes:
        if path in swept:
            raise UserError(f"--set {path}: the study sweeps this field; use --axis {path}=... instead")
    target = {**study.base, **changes}.get("data.source", "")
    base = {**PRESETS[preset].fields(study.paper, str(target)), **study.base, **changes}
    return [
        Cell(arm, number, Experiment().with_changes(_absolute({**base, **arm.changes})).with_replicate(number))
        for arm in study.arms()
        for number in replicates
    ]


def _check_paths(swept: set[str], fixed: set[str]) -> None:
    for path in sorted(swept | fixed):
        if path.startswith("seeds."):
            raise UserError(f"{path} is set by the replicate: choose replicates with --seeds, for example 100:105")
    if "selection.protocol" in swept:
        raise UserError("a table has one selection protocol: use --set selection.protocol=..., once a protocol")


def _absolute(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Paths of files that exist, made absolute: trials run in other folders."""
    return {path: _names(path, _absolute_value(value)) if path in PATHS else value for path, value in changes.items()}


def _names(path: str, value: Any) -> Any:
    """`joint.extra` is a list, also of one path that holds a +."""
    return [value] if path == "joint.extra" and isinstance(value, str) else value


def _absolute_value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_absolute_value(part) for part in value]
    if not isinstance(value, str) or value in KEYWORDS:
        return value
    if Path(value).expanduser().exists():
        return str(Path(value).expanduser().resolve())
    return [_absolute_value(part.strip()) for part in value.split("+")] if "+" in value else value
