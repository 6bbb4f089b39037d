"""Which fields of an `Experiment` act, given the others. A field that cannot matter is set to its default.

alpha = 1 is one-hot, a cap acts under the rule `capped` only, seeds of noise need noise. A field that is not
named here always acts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from raysweep.labels.registry import ONE_HOT, SOFT_LABELS

from .experiment import Experiment
from .sections import Joint, Labels, Model, Objective, Seeds, Selection, SelfCure

S = TypeVar("S", bound=BaseModel)


def acting_fields(experiment: Experiment, sections: Callable[[str], bool] = lambda name: True) -> dict[str, Any]:
    """Fields that act and differ from their defaults, by dotted path, as plain values.

    Args:
        sections: which sections are asked for, by name. A field of a section that is new is found like any other.

    >>> acting_fields(Experiment().with_changes({"labels.alpha": 1.0, "labels.squared": False, "train.epochs": 5}))
    {'labels.method': 'one_hot', 'train.epochs': 5}
    """
    found: dict[str, Any] = {}
    for name in filter(sections, type(experiment).model_fields):
        value = ACTING[name](experiment) if name in ACTING else getattr(experiment, name)
        found |= _difference(name, value, _default(experiment, name))
    return found


def changed_fields(section: BaseModel) -> dict[str, Any]:
    """Fields that differ from their defaults, whether they act or not, by dotted path, as plain values."""
    names = type(section).model_fields
    return {
        k: v for name in names for k, v in _difference(name, getattr(section, name), _default(section, name)).items()
    }


def _difference(path: str, value: Any, default: Any) -> dict[str, Any]:
    """What differs between two values of a field; of two sections by the fields within."""
    if isinstance(value, BaseModel) and type(value) is type(default):
        names = type(value).model_fields
        each = (_difference(f"{path}.{name}", getattr(value, name), getattr(default, name)) for name in names)
        return {k: v for fields in each for k, v in fields.items()}
    return {} if value == default else {path: plain(value)}


def plain(value: Any) -> Any:
    """One spelling for equal values: 5.0 as 5, -0.0 as 0, tuples as lists.

    >>> plain((5.0, -0.0, 0.25, True, None, "5"))
    [5, 0, 0.25, True, None, '5']
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    if isinstance(value, BaseModel):
        return plain(value.model_dump())
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    return value


def _labels(experiment: Experiment) -> Labels:
    labels, method = experiment.labels, experiment.labels.fused_method
    idle = ["alpha"] if method == ONE_HOT else []
    options = {option for soft in SOFT_LABELS.values() for option in soft.options}
    idle += sorted(options.difference(SOFT_LABELS[method].options))
    idle += [] if labels.noise_rate else ["noise_kind", "statistics"]
    return _at_defaults(labels.model_copy(update={"method": method}), idle)


def _model(experiment: Experiment) -> Model:
    model = experiment.model
    return model if model.backbone == "arm" else _at_defaults(model, ["arm_alpha"])


def _objective(experiment: Experiment) -> Objective:
    objective = experiment.objective
    idle = [] if objective.class_weights == "capped" else ["weight_cap"]
    idle += [] if objective.class_weights != "none" and objective.weight_va else ["weighted_va"]
    idle += [] if objective.weight_va else ["va_reduction"]
    return _at_defaults(objective, idle)


def _joint(experiment: Experiment) -> Joint:
    joint = experiment.joint
    if not joint.kind.on_extra and joint.finetune is None:
        return _at_defaults(joint, type(joint).model_fields.keys() - {"method"})
    return _at_defaults(joint, ["map_all"] if joint.mapping == "none" else [])


def _scn(experiment: Experiment) -> SelfCure:
    scn = experiment.scn
    if experiment.model.head != "scn":
        return _at_defaults(scn, type(scn).model_fields)
    return _at_defaults(scn, ["relabel_margin", "relabel_among"] if scn.relabel_from is None else [])


def _selection(experiment: Experiment) -> Selection:
    selection = experiment.selection
    idle = [] if selection.holds_out else ["validation_share", "validation_per_class"]
    idle += [] if selection.scores_epochs else ["metric"]
    return _at_defaults(selection, idle)


def _seeds(experiment: Experiment) -> Seeds:
    idle = [] if experiment.selection.holds_out else ["split"]
    idle += [] if experiment.labels.noise_rate or experiment.labels.va_noise else ["noise"]
    return _at_defaults(experiment.seeds, idle)


ACTING: Mapping[str, Callable[[Experiment], BaseModel]] = {
    "labels": _labels,
    "model": _model,
    "objective": _objective,
    "joint": _joint,
    "scn": _scn,
    "selection": _selection,
    "seeds": _seeds,
}
"""By section: the section with every field that cannot matter at its default."""


def _at_defaults(section: S, names: Any) -> S:
    return section.model_copy(update={name: _default(section, name) for name in names}) if names else section


def _default(section: BaseModel, name: str) -> Any:
    return type(section).model_fields[name].get_default(call_default_factory=True)
