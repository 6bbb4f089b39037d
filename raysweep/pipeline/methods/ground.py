"""What methods are built from: an experiment, its data sets, and the stages that every method starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.config.per_set import value_of
from raysweep.core.hashing import canonical_json
from raysweep.data.dataset import FaceData
from raysweep.metrics.registry import needing
from raysweep.pipeline.datasets import Sets, share_of
from raysweep.pipeline.stage import Known, Stage
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.pipeline.stages.fit import fit_chain
from raysweep.pipeline.stages.labels import data_stage, labels_stage, targets_stage

Again = Callable[[], tuple[list[Stage], list[Stage]]]
"""The targets of a method's final training with no image of A held out: what every epoch passes over, what joins."""


@dataclass(frozen=True)
class Built:
    """The last epoch of a method's final training, and the stages whose labels are drawn.

    `again`: what `select_then_retrain` trains on; None where A is not trained on, so that nothing was held out of it.
    """

    model: Stage
    shown: dict[str, Stage]
    again: Again | None = None


@dataclass(frozen=True)
class Ground:
    """An experiment, its data, and the stages every method starts from."""

    experiment: Experiment
    sets: Sets
    known: Known = field(default_factory=Known)

    @cached_property
    def a(self) -> Stage:
        return self.data(self.sets.target)

    @cached_property
    def labels_a(self) -> Stage:
        return labels_stage(self.experiment, self.a)

    @cached_property
    def labels_b(self) -> list[Stage]:
        return [labels_stage(self.experiment, self.data(extra), every_image=True) for extra in self.extras]

    @property
    def extras(self) -> list[FaceData]:
        """The part of every extra set that this replicate trains on."""
        joint, seed = self.experiment.joint, self.experiment.seeds.split
        tokens = [
            (id(whole), value_of(joint.extra_share, i), joint.extra_draw, seed)
            for i, whole in enumerate(self.sets.extras)
        ]
        return [
            self.known.once(token, partial(share_of, self.experiment, whole, i))
            for i, (token, whole) in enumerate(zip(tokens, self.sets.extras, strict=True))
        ]

    def data(self, data: FaceData) -> Stage:
        token = (
            id(data),
            canonical_json(key_fields("data", self.experiment)),
        )  # the stage keeps its data, and so its id
        return self.known.once(token, partial(data_stage, data, self.experiment))

    @cached_property
    def whole(self) -> Ground:
        """The same with no image held out."""
        return replace(self, experiment=_without_validation(self.experiment))

    @cached_property
    def targets_a(self) -> Stage:
        """A with its own labels and VA."""
        return targets_stage(self.experiment, self.labels_a)

    @cached_property
    def targets_b(self) -> list[Stage]:
        """The extra sets with their own labels and VA."""
        return [
            targets_stage(self.experiment, labels, weight=self.weight_b(i)) for i, labels in enumerate(self.labels_b)
        ]

    def weight_b(self, number: int) -> float:
        """The factor of an extra set's images in the loss."""
        return value_of(self.experiment.joint.extra_weight, number)

    def fit(self, title: str, trained: list[Stage], extra: list[Stage] | None = None, **changes: Any) -> Stage:
        """Train on these targets, watching A. `changes`: fields by name with __ for the dot."""
        fields = {name.replace("__", "."): value for name, value in changes.items()}
        every = [*trained, *(extra or [])]
        if not any(stage.attached.knows_va for stage in every):
            fields["objective.weight_va"] = 0.0  # nothing to regress
        experiment = chosen_by_what_is_fitted(_changed(self.experiment, fields))
        return fit_chain(experiment, self.a, trained, extra or [], title=title, known=self.known)


def _changed(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """With fields set, unchecked. Unchanged sections are shared: a study has thousands of experiments."""
    sections: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        section, name = path.split(".")
        sections.setdefault(section, {})[name] = value
    new = {section: getattr(experiment, section).model_copy(update=values) for section, values in sections.items()}
    return experiment.model_copy(update=new)


def chosen_by_what_is_fitted(experiment: Experiment) -> Experiment:
    """A training without regression has no epoch that is best in valence and arousal: macro-F1 chooses it."""
    if experiment.objective.weight_va or experiment.selection.metric not in needing("va"):
        return experiment
    return _changed(experiment, {"selection.metric": "macro_f1"})


def _without_validation(experiment: Experiment) -> Experiment:
    return experiment.with_changes({"selection.protocol": "last", "selection.weights": "last"})
