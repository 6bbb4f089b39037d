"""Methods as graphs of stages, by `joint.method`. What a cell needs, from data to the model that is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.config.per_set import value_of
from raysweep.config.sections import Joint
from raysweep.core.hashing import canonical_json
from raysweep.data.dataset import FaceData
from raysweep.metrics.registry import needing

from .datasets import Sets, check_sets, replaces_own_va, share_of
from .stage import Attached, Known, Stage
from .stage_kinds import key_fields
from .stages.fit import fit_chain, start_from
from .stages.labels import adapt_stage, data_stage, labels_stage, pseudo_va_stage, select_stage, targets_stage

Again = Callable[[], tuple[list[Stage], list[Stage]]]
"""The targets of a method's final training with no image of A held out: what every epoch passes over, what joins."""


@dataclass(frozen=True)
class Built:
    """The last epoch of a method's final training, and the stages whose labels are worth showing.

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
        """What this replicate trains on of every extra set."""
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
        """A as it came."""
        return targets_stage(self.experiment, self.labels_a)

    @cached_property
    def targets_b(self) -> list[Stage]:
        """The extra sets as they came."""
        return [
            targets_stage(self.experiment, labels, weight=self.weight_b(i)) for i, labels in enumerate(self.labels_b)
        ]

    def weight_b(self, number: int) -> float:
        """What the images of an extra set weigh in the loss."""
        return value_of(self.experiment.joint.extra_weight, number)

    def fit(self, title: str, trained: list[Stage], extra: list[Stage] | None = None, **changes: Any) -> Stage:
        """Train on these targets, watching A. `changes`: fields by name with __ for the dot."""
        fields = {name.replace("__", "."): value for name, value in changes.items()}
        every = [*trained, *(extra or [])]
        if not any(stage.attached.knows_va for stage in every):
            fields["objective.weight_va"] = 0.0  # nothing to regress
        experiment = _chosen_by_what_is_fitted(_changed(self.experiment, fields))
        return fit_chain(experiment, self.a, trained, extra or [], title=title, known=self.known)


def target_only(ground: Ground) -> Built:
    """The target alone, as DDAF trains: noise, fusion, weights."""
    return Built(
        ground.fit("target", [ground.targets_a]), {"labels": ground.labels_a}, lambda: ([ground.whole.targets_a], [])
    )


def extra_only(ground: Ground) -> Built:
    """The extra sets alone, scored on the target (DCJT, Figure 1)."""
    return Built(ground.fit("extra", ground.targets_b), {})


def combination(ground: Ground) -> Built:
    """Target and extra sets as one set with the labels they have ("combination straightly", Tables 3 and 4).

    Class weights and means, where they are used, are each set's own.
    """
    theirs = ground.targets_b
    model = ground.fit("combination", [ground.targets_a, *theirs])
    return Built(model, {}, lambda: ([ground.whole.targets_a, *theirs], []))


def dcjt(ground: Ground) -> Built:
    """Discrete and continuous joint training, section 3, with the ablation arms of Tables 1 and 2.

    Differs from the paper: its labels are hard (alpha = 1, as in its preset), and no paper fuses them here. Where a
    study does, class means and Gaussians of each set are of the VA and labels that it is trained on: A's pseudo VA, B's
    mapped VA and new labels, B's as they came where it is not adapted. Those of another set are for VA as they came.
    """
    steps = _Steps(ground)
    joint, experiment = ground.experiment.joint, ground.experiment
    own_va = joint.pseudo_va == "own"
    ours = targets_stage(experiment, ground.labels_a, steps.pseudo_a, own_va=own_va)
    theirs = steps.extra_targets

    def again() -> tuple[list[Stage], list[Stage]]:
        whole = targets_stage(ground.whole.experiment, ground.whole.labels_a, steps.pseudo_a, own_va=own_va)
        return _passes(joint, whole, theirs)

    return Built(ground.fit("joint", *_passes(joint, ours, theirs)), steps.shown, again)


def _passes(joint: Joint, ours: Stage, theirs: list[Stage]) -> tuple[list[Stage], list[Stage]]:
    """What every epoch of joint training passes over, and what joins by the schedule."""
    if joint.schedule == "concatenate":
        return [ours, *theirs], []
    return [ours], theirs


@dataclass(frozen=True)
class _Steps:
    """Steps 1 to 3, each only as far as the arm needs it.

    The epoch of M_A and of M_B is chosen like that of the final model, by the same score of A's validation images; that
    of M_A, which has no regression, never by valence and arousal. Under `best_on_test` they take their last epoch:
    test labels must not shape what is trained on.
    """

    ground: Ground

    @property
    def _chosen_without_test(self) -> dict[str, Any]:
        if self.ground.experiment.selection.protocol != "best_on_test":
            return {}
        return {"selection__protocol": "last", "selection__weights": "last"}

    @cached_property
    def model_a(self) -> Stage:
        """M_A: a classifier on A."""
        ground = self.ground
        return ground.fit("M_A", [ground.targets_a], objective__weight_va=0.0, **self._chosen_without_test)

    @cached_property
    def chosen(self) -> list[Stage]:
        """What M_A agrees with, of every extra set."""
        return [select_stage(self.model_a, labels) for labels in self.ground.labels_b]

    @cached_property
    def model_b(self) -> Stage:
        """M_B: expressions and VA, on the selected part of the extra sets that have VA, or on all of them."""
        ground = self.ground
        subset = ground.experiment.joint.pseudo_va == "subset"
        trained = [
            targets_stage(
                ground.experiment, labels, chosen=self.chosen[i] if subset else None, weight=ground.weight_b(i)
            )
            for i, labels in enumerate(ground.labels_b)
            if labels.attached.knows_va
        ]
        weight = ground.experiment.joint.labeller_weight_va
        return ground.fit(f"M_B on {'the subset' if subset else 'all of B'}", trained, objective__weight_va=weight,
                          **self._chosen_without_test)  # fmt: skip

    @cached_property
    def pseudo_a(self) -> Stage | None:
        """Pseudo VA of A, when M_B gives them."""
        if self.ground.experiment.joint.pseudo_va in ("none", "own"):
            return None
        return pseudo_va_stage(self.model_b, self.ground.a)

    @cached_property
    def pseudo_b(self) -> list[Stage | None]:
        """Pseudo VA of the extra sets that have none."""
        makes = self.ground.experiment.joint.pseudo_va in ("all", "subset")
        return [
            pseudo_va_stage(self.model_b, labels.inputs["data"]) if makes and not labels.attached.knows_va else None
            for labels in self.ground.labels_b
        ]

    @cached_property
    def adapted(self) -> list[Stage]:
        """Every extra set after mapping and relabelling."""
        ground = self.ground
        return [
            adapt_stage(ground.experiment, ground.labels_a, self.pseudo_a, labels, va, chosen)
            for labels, va, chosen in zip(ground.labels_b, self.pseudo_b, self.chosen, strict=True)
        ]

    @property
    def _adapts(self) -> bool:
        joint = self.ground.experiment.joint
        return joint.extra_part == "all" and (joint.mapping != "none" or joint.relabel)

    @cached_property
    def extra_targets(self) -> list[Stage]:
        """What the joint training sees of the extra sets."""
        ground, part = self.ground, self.ground.experiment.joint.extra_part
        if part == "none":
            return []
        return [
            targets_stage(
                ground.experiment,
                labels,
                self.pseudo_b[i],
                chosen=self.chosen[i] if part == "subset" else None,
                adapted=self.adapted[i] if self._adapts else None,
                weight=ground.weight_b(i),
            )
            for i, labels in enumerate(ground.labels_b)
        ]

    @property
    def shown(self) -> dict[str, Stage]:
        """What is drawn and scored: of several extra sets the first that has VA of its own."""
        ground, joint = self.ground, self.ground.experiment.joint
        shown = next((i for i, labels in enumerate(ground.labels_b) if labels.attached.knows_va), 0)
        stages = {"labels": ground.labels_a}
        if self.pseudo_a is not None:
            stages["pseudo"] = self.pseudo_a
        if joint.extra_part == "subset" or joint.pseudo_va == "subset" or self._adapts:
            stages |= {"extra": ground.labels_b[shown], "chosen": self.chosen[shown]}
        if self._adapts:
            stages["adapted"] = self.adapted[shown]
            others = [stage for i, stage in enumerate(self.adapted) if i != shown]
            stages |= {f"also_adapted{i}": stage for i, stage in enumerate(others)}
        return stages


METHODS: dict[str, Callable[[Ground], Built]] = {
    "target": target_only,
    "extra": extra_only,
    "combine": combination,
    "dcjt": dcjt,
}
"""By `joint.method`."""


def build(experiment: Experiment, sets: Sets, known: Known | None = None) -> Stage:
    """The last stage of a cell: its scores. Everything it needs hangs on its inputs.

    Args:
        known: of the other cells of a study, so that what they share is built once; it must not outlive them.

    Raises:
        UserError: data sets that do not go together, or that lack what the method needs.
    """
    check_sets(experiment, sets)
    retrain = experiment.selection.protocol == "select_then_retrain"
    chosen = experiment.with_changes({"selection.protocol": "validation"}) if retrain else experiment
    ground = Ground(chosen, sets, known or Known())
    built = METHODS[experiment.joint.method](ground)
    scored = ground.a
    if sets.finetune is not None:
        built, scored = _finetuned(ground, built)
    shown = {f"shown_{role}": stage for role, stage in built.shown.items()}
    inputs = {"model": built.model, "scored": scored, **shown}
    kind = "evaluate"
    if retrain and built.again is not None:
        kind = "retrain"
        whole, joined = built.again()
        inputs |= {f"all{i or ''}": stage for i, stage in enumerate(whole)}
        inputs |= {f"joined{i}": stage for i, stage in enumerate(joined)}
    params = key_fields(kind, experiment)
    if replaces_own_va(experiment, sets):
        params["own_va"] = "scored"  # the pseudo VA against them
    return Stage(kind, params, inputs, Attached(experiment))


def _finetuned(ground: Ground, built: Built) -> tuple[Built, Stage]:
    """A second training on another set, from the first one's weights (DCJT, Table 7)."""
    experiment, finetune = ground.experiment, ground.sets.finetune
    assert finetune is not None
    data = ground.data(finetune)
    labels = labels_stage(experiment, data)
    targets = targets_stage(experiment, labels)
    changes: dict[str, Any] = {
        "train.learning_rate": experiment.train.learning_rate * experiment.joint.finetune_rate,
    }
    if not targets.attached.knows_va:
        changes["objective.weight_va"] = 0.0
    same = finetune.classes == ground.sets.target.classes
    start = start_from(experiment, built.model, same, len(finetune.classes))
    tuned = _chosen_by_what_is_fitted(experiment.with_changes(changes))
    model = fit_chain(tuned, data, [targets], start=start, title="fine-tuning", known=ground.known)
    return Built(model, built.shown), data


def _changed(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """With fields of ours set, which need no check. Sections that stay are shared: a study has thousands of them."""
    sections: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        section, name = path.split(".")
        sections.setdefault(section, {})[name] = value
    new = {section: getattr(experiment, section).model_copy(update=values) for section, values in sections.items()}
    return experiment.model_copy(update=new)


def _chosen_by_what_is_fitted(experiment: Experiment) -> Experiment:
    """A training without regression has no epoch that is best in valence and arousal: macro-F1 chooses it."""
    if experiment.objective.weight_va or experiment.selection.metric not in needing("va"):
        return experiment
    return _changed(experiment, {"selection.metric": "macro_f1"})


def _without_validation(experiment: Experiment) -> Experiment:
    return experiment.with_changes({"selection.protocol": "last", "selection.weights": "last"})
