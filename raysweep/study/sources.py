"""Checks of the data sets that cells name: they exist, and own data are not mixed with built-in defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError, error_of_arms
from raysweep.core.parsing import join_names
from raysweep.data.names import BUILT_IN, check_named, joined_otherwise
from raysweep.data.set_content import SetContent, content_of

from .cells import Cell
from .study import Arm, Study

PRESET, STUDY, ASKED = 0, 1, 2
"""Origin of a field's value: the preset, the study's file, or the user of this launch."""


def check_sources(study: Study, cells: Sequence[Cell], changes: Mapping[str, Any]) -> None:
    """Check that every data set exists and that own and built-in sets are mixed only on request. Reads no images.

    Args:
        changes: fields that the user of this launch set for every arm.

    Raises:
        UserError: names the arms and a remedy.
    """
    arms = {cell.arm.name: cell for cell in reversed(cells)}
    missing: dict[str, str] = {}
    checked: dict[tuple[str, str, int], str] = {}
    for name, cell in arms.items():
        size = cell.experiment.data.image_size
        for path, source in named_sources(cell.experiment):
            token = (path, source, size)
            if token not in checked:
                checked[token] = _missing(path, source, size)
            if checked[token]:
                missing.setdefault(name, checked[token])
    mixed = {name: _mixed(study, changes, cell.arm, cell.experiment) for name, cell in arms.items()}
    faults = missing or {name: fault for name, fault in mixed.items() if fault}
    if faults:
        raise error_of_arms({name: faults[name] for name in dict.fromkeys(c.arm.name for c in cells) if name in faults},
                            len(arms))  # fmt: skip


def set_contents(cells: Sequence[Cell]) -> tuple[SetContent, ...]:
    """What this machine has of every data set that cells read. Raises UserError: as `content_of`."""
    named = {
        (source, cell.experiment.data.image_size): None
        for cell in cells
        for _, source in named_sources(cell.experiment)
    }
    return tuple(content_of(*one) for one in named)


def named_sources(experiment: Experiment) -> list[tuple[str, str]]:
    """(field, name) of every data set that an experiment reads."""
    joint = experiment.joint
    named = [("data.source", experiment.data.source)]
    named += [("joint.extra", name) for name in joint.used_extra]
    if joint.finetune not in (None, "target"):
        named.append(("joint.finetune", str(joint.finetune)))
    return named


def _missing(path: str, source: str, size: int) -> str:
    parts = joined_otherwise(source)
    if path == "joint.extra" and parts:
        return f"{source}: no such file or folder; extra data sets are joined by +: joint.extra={join_names(parts)}"
    try:
        check_named(source, size)
    except UserError as error:
        return str(error)
    return ""


def _mixed(study: Study, changes: Mapping[str, Any], arm: Arm, made: Experiment) -> str:
    """The error where the user's own data meet built-in faces that the user did not ask for; "" if there is none.

    The studies name built-in sets as defaults. A user who replaces only one of them would get a table that mixes
    photographs with drawn faces.
    """
    named = named_sources(made)
    own = [(path, source) for path, source in named if source not in BUILT_IN]
    chosen = {path: _origin(study, changes, arm, path) for path, _ in named}
    meant = max((chosen[path] for path, _ in own), default=PRESET)
    for path, source in named:
        if source in BUILT_IN and chosen[path] < meant:
            other, name = max(own, key=lambda entry: chosen[entry[0]])
            return (
                f"{other}={name} is your data, but {path}={source} is a built-in set, the default of "
                f"{'the study' if chosen[path] == STUDY else 'the preset'}: {_remedy(study, path, arm)}"
            )
    return ""


def _origin(study: Study, changes: Mapping[str, Any], arm: Arm, path: str) -> int:
    """Origin of this field's value in an arm."""
    if path in arm.changes:
        asked = any(axis.asked and axis.sets(path) for axis in study.axes)
        return ASKED if asked else STUDY
    if path in changes:
        return ASKED
    return STUDY if path in study.base else PRESET


def _remedy(study: Study, path: str, arm: Arm) -> str:
    """The option that names another set."""
    if path == "data.source":
        return "name your target set with --on SET"
    if path not in arm.changes:
        other = " (or joint.finetune=target)" if path == "joint.finetune" else ""
        return f"add --set {path}=SET{other}"
    if all(axis.is_over(path) for axis in study.axes if axis.sets(path)):
        return f"add --axis {path}=SET"
    return f"its levels name them: copy the study's file and change {path} there"
