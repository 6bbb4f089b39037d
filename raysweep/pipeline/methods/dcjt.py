"""Discrete and continuous joint training: selection, pseudo VA, mapping and relabelling, then joint training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raysweep.config.sections import Joint
from raysweep.pipeline.stage import Stage
from raysweep.pipeline.stages.labels import adapt_stage, pseudo_va_stage, select_stage, targets_stage

from .ground import Built, Ground


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
    """The targets of every epoch of joint training, and those that join by the schedule."""
    if joint.schedule == "concatenate":
        return [ours, *theirs], []
    return [ours], theirs


@dataclass(frozen=True)
class _Steps:
    """Steps 1 to 3. Only the steps that the arm needs are built.

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
        """Of every extra set, the images whose label M_A predicts."""
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
        """The targets of the extra sets in joint training."""
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
        """Label stages that are drawn and scored; of several extra sets, the first with VA of its own."""
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
