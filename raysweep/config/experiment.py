"""`Experiment`: one fully resolved configuration, and how a dotted path changes it.

The defaults are the recipe of the DDAF paper (section 4.2); what the authors' code adds (random erasing, weight decay)
is off. `raysweep.study.recipe_origins` says of every value where it comes from (`docs/recipes.md`).
Symbols: alpha is Eq. 4's, `weight_va` is the lambda of the regression term.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError, model_validator

from raysweep.core.errors import UserError, unknown_name
from raysweep.core.parsing import join_names
from raysweep.labels.registry import ONE_HOT

from .sections import (
    OF_NO_PAPER,
    PER_SET,
    Augment,
    Data,
    Joint,
    Labels,
    Model,
    Objective,
    Section,
    Seeds,
    Selection,
    SelfCure,
    Train,
)


class Experiment(Section):
    """One fully resolved configuration: everything that can change a number."""

    data: Data = Data()
    labels: Labels = Labels()
    model: Model = Model()
    objective: Objective = Objective()
    augment: Augment = Augment()
    train: Train = Train()
    joint: Joint = Joint()
    scn: SelfCure = SelfCure()
    selection: Selection = Selection()
    seeds: Seeds = Seeds()

    @model_validator(mode="after")
    def _headline_exists(self) -> Experiment:
        weights, protocol = self.selection.weights, self.selection.protocol
        if weights == "swa" and self.train.swa_start is None:
            raise ValueError("`selection.weights=swa` needs `train.swa_start`, but it is none")
        if weights == "best" and protocol == "last":
            raise ValueError("`selection.weights=best` needs a protocol that scores every epoch, but it is 'last'")
        if weights != "best" and protocol == "select_then_retrain":
            raise ValueError(
                f"`selection.protocol={protocol}` chooses the epoch: weights must be best, not {weights!r}"
            )
        if weights != "best" and protocol == "best_on_test":
            raise ValueError(f"`selection.protocol=best_on_test` reports the best epoch, but weights is {weights!r}")
        return self

    @model_validator(mode="after")
    def _self_cure_is_one_hot(self) -> Experiment:
        if self.model.head == "scn" and self.labels.fused_method != ONE_HOT:
            raise ValueError("`model.head=scn` changes hard labels: set labels.method=one_hot or labels.alpha=1")
        return self

    @model_validator(mode="after")
    def _joint_makes_sense(self) -> Experiment:
        joint, epochs = self.joint, self.train.epochs
        if joint.kind.on_extra and not joint.extra:
            raise ValueError(f"`joint.method={joint.method}` needs `joint.extra`, the name of an extra data set")
        for name in PER_SET:
            values = getattr(joint, name)
            if isinstance(values, tuple) and joint.kind.on_extra and len(values) != len(joint.extra):
                raise ValueError(
                    f"`joint.{name}` needs one value, or one for each of {len(joint.extra)} extra sets, "
                    f"but got {len(values)}: {join_names(values)}"
                    + (" (what is said of one set is joined by commas)" if name in ("drop", "map") else "")
                )
        if joint.kind.on_extra and joint.extra_sets is not None and joint.extra_sets > len(joint.extra):
            raise ValueError(
                f"`joint.extra_sets={joint.extra_sets}` needs so many extra sets, but "
                f"joint.extra={join_names(joint.extra)} names {len(joint.extra)}: join more by +, or leave these arms "
                "out with --axis"
            )
        if self.selection.protocol == "select_then_retrain" and joint.finetune:
            raise ValueError("`selection.protocol=select_then_retrain` does not go with `joint.finetune`")
        if joint.kind.adapts:
            if joint.pseudo_va == "none" and joint.extra_part == "all" and (joint.mapping != "none" or joint.relabel):
                raise ValueError("`joint.mapping` and `joint.relabel` need VA of A, but `joint.pseudo_va` is none")
            if joint.schedule == "joint" and joint.extra_part != "none":
                self._schedule_fits(joint, epochs)
        return self

    @staticmethod
    def _schedule_fits(joint: Joint, epochs: int) -> None:
        if joint.warm_up >= epochs and joint.warm_up >= 1:
            raise ValueError(
                f"`joint.warm_up < train.epochs` must hold, but got {joint.warm_up:g} >= {epochs}: "
                "too few epochs for this schedule; raise train.epochs or lower joint.warm_up"
            )
        if joint.frequency is None:
            return
        if joint.frequency > epochs:
            raise ValueError(
                f"`joint.frequency <= train.epochs` must hold, but got {joint.frequency:g} > {epochs}: "
                "too few epochs for this schedule; raise train.epochs or lower joint.frequency"
            )
        if not any(joint.joins(epoch, epochs) for epoch in range(1, epochs + 1)):
            raise ValueError(
                f"B must join at least one of {epochs} epochs, but with joint.warm_up={joint.warm_up:g} and "
                f"joint.frequency={joint.frequency:g} it joins none; to leave it out, set joint.frequency=none, "
                "else raise train.epochs or lower one of the two"
            )

    def with_changes(self, changes: Mapping[str, Any]) -> Experiment:
        """A copy with fields set by dotted path, validated as a whole.

        Raises:
            UserError: an unknown path (says the nearest), or a value out of range (says the rule).
        """
        tree = self.model_dump()
        for path, value in changes.items():
            check_path(path, type(self))
            section, field = path.split(".")
            tree[section][field] = "none" if value is None and "none" in field_choices(path) else value
        try:
            return type(self).model_validate(tree)
        except ValidationError as error:
            raise UserError("; ".join(sentence(e) for e in error.errors())) from None

    def with_replicate(self, number: int) -> Experiment:
        """All four seeds set to one replicate number."""
        return self.model_copy(update={"seeds": Seeds(split=number, noise=number, init=number, order=number)})


def field_paths(model: type[Experiment] = Experiment) -> dict[str, str]:
    """Every dotted path of an Experiment with its description, in order of declaration."""
    paths = {}
    for section, info in model.model_fields.items():
        assert isinstance(info.annotation, type)
        assert issubclass(info.annotation, Section)
        for field, spec in info.annotation.model_fields.items():
            paths[f"{section}.{field}"] = spec.description or ""
    return paths


def fields_of_no_paper(model: type[Experiment] = Experiment) -> dict[str, str]:
    """Fields that no paper has, by dotted path with the reason for their default: those made with `of_no_paper`."""
    found = {}
    for path in field_paths(model):
        section, name = path.split(".")
        annotation = model.model_fields[section].annotation
        assert annotation is not None
        extra = annotation.model_fields[name].json_schema_extra
        if isinstance(extra, Mapping) and OF_NO_PAPER in extra:
            found[path] = str(extra[OF_NO_PAPER])
    return found


def flat_words(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as dotted names and words.

    >>> flat_words({"labels": {"alpha": 0.5, "within_std": None}})
    {'labels.alpha': '0.5', 'labels.within_std': 'none'}
    """
    flat: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flat_words(value, f"{prefix}{name}.")
        elif isinstance(value, (tuple, list)):
            flat[prefix + name] = join_names(value) or "none"
        else:
            flat[prefix + name] = str(value).lower() if value is None or isinstance(value, bool) else str(value)
    return flat


def field_choices(path: str) -> tuple[str, ...]:
    """The values a field admits when it is a choice, else empty."""
    section, field = path.split(".")
    annotation = Experiment.model_fields[section].annotation
    assert annotation is not None
    choices = get_args(annotation.model_fields[field].annotation)
    return choices if choices and all(isinstance(c, str) for c in choices) else ()


def check_path(path: str, model: type[Experiment] = Experiment) -> None:
    """Raises UserError, with the nearest path, unless an Experiment has this field."""
    if path not in field_paths(model):
        raise unknown_name("field", path, field_paths(model), "`--fields` lists them all")


_RULES = {"greater_than": ">", "greater_than_equal": ">=", "less_than": "<", "less_than_equal": "<="}
_LIMITS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}


def sentence(error: Any, path: str = "") -> str:
    """One pydantic error as rule and value. `path`: of the field, where the error does not say it."""
    path = path or ".".join(str(part) for part in error["loc"])
    kind, value = error["type"], error["input"]
    if kind in _RULES:
        return f"`{path} {_RULES[kind]} {error['ctx'][_LIMITS[kind]]:g}` must hold, but got {value!r}"
    if kind == "literal_error":
        return f"`{path}` must be one of {error['ctx']['expected']}, but got {value!r}"
    if kind == "tuple_type":
        return f"`{path}` must be names joined by +, but got {value!r}"
    if kind == "value_error":
        text = str(error["ctx"]["error"])
        return f"{path}: {text}" if path and not text.startswith(f"`{path}") else text
    return f"`{path}`: {error['msg'][0].lower()}{error['msg'][1:]}, but got {value!r}"
