"""The stages of DCJT that make labels: noise, subset selection, pseudo VA, mapping and relabelling, targets."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raysweep.config.experiment import Experiment
from raysweep.core.bounds import read_npz
from raysweep.core.errors import UserError
from raysweep.core.formatting import plural
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.splits import all_trained, for_protocol
from raysweep.labels.mapping import class_stats, gaussian_stats, map_va, map_va_by_class
from raysweep.labels.registry import ONE_HOT, SOFT_LABELS
from raysweep.labels.relabel import class_centroids, relabel_by_centroid
from raysweep.pipeline.execution import Context
from raysweep.pipeline.key_fields import HELD_OUT
from raysweep.pipeline.stage import Attached, Stage
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.training import Given, TrainingPart, build_targets, given_labels

from .fit import trainer_after


@dataclass(frozen=True)
class AdaptedTargets:
    """An extra set after step 3: `labels_N` and `va_N2` to train on; `notes` for reports."""

    labels_N: Tensor
    va_N2: Tensor
    selected_N: Tensor
    notes: tuple[str, ...]

    def write(self, folder: Path) -> None:
        np.savez_compressed(folder / "adapted.npz", labels=self.labels_N, va=self.va_N2, selected=self.selected_N)
        (folder / "notes.json").write_text(json.dumps(self.notes))

    @classmethod
    def read(cls, folder: Path) -> AdaptedTargets:
        arrays = read_npz(folder / "adapted.npz")
        labels, va, selected = (torch.from_numpy(arrays[name]) for name in ("labels", "va", "selected"))
        return cls(labels, va, selected, tuple(json.loads((folder / "notes.json").read_text())))


def data_stage(data: FaceData, experiment: Experiment) -> Stage:
    """A data set as it was read; known by its fingerprint and size."""
    rows = [len(data.rows(split)) for split in (TRAIN, VALIDATION, TEST)]
    read = {"fingerprint": data.fingerprint, "pixels": data.images.shape[-1], "counts": rows}
    params = {**key_fields("data", experiment), **read}
    return Stage("data", params, attached=Attached(data=data))


def labels_stage(experiment: Experiment, data: Stage, every_image: bool = False) -> Stage:
    """Labels of the training split as noise leaves them. `every_image`: nothing is held out (an extra set)."""
    held_out = experiment.selection.holds_out and not every_image
    fields = key_fields("labels", experiment)
    if not held_out:
        fields = {path: value for path, value in fields.items() if path not in HELD_OUT}
    params = {**fields, "held_out": held_out}
    return Stage("labels", params, {"data": data}, Attached(experiment, knows_va=data.data.knows_va))


def select_stage(model: Stage, labels: Stage) -> Stage:
    """Step 1: the images of an extra set whose given label the model predicts."""
    return Stage("select", key_fields("select", model.experiment), {"model": model, "labels": labels})


def pseudo_va_stage(model: Stage, data: Stage) -> Stage:
    """Step 2: a model's valence and arousal for the training images of a data set."""
    return Stage("pseudo_va", key_fields("pseudo_va", model.experiment), {"model": model, "data": data})


def adapt_stage(
    experiment: Experiment, target: Stage, target_va: Stage | None, extra: Stage, extra_va: Stage | None, chosen: Stage
) -> Stage:
    """Step 3: the VA of an extra set mapped to the target's, its remainder relabelled."""
    inputs = {"target": target, "extra": extra, "subset": chosen}
    inputs |= {"target_va": target_va} if target_va else {}
    inputs |= {"extra_va": extra_va} if extra_va else {}
    return Stage("adapt", key_fields("adapt", experiment), inputs, Attached(experiment))


def targets_stage(
    experiment: Experiment,
    labels: Stage,
    va: Stage | None = None,
    chosen: Stage | None = None,
    adapted: Stage | None = None,
    own_va: bool = True,
    weight: float = 1.0,
) -> Stage:
    """What is trained on: labels (all, or those `chosen`) fused with VA (their own, pseudo or adapted).

    `own_va` off: the VA of the data set are not used. `weight`: factor of these images in the loss.
    """
    known = (labels.attached.knows_va and own_va) or va is not None
    config = experiment.labels
    if not known and experiment.joint.kind.on_extra and SOFT_LABELS[config.method].needs == "va":
        config = config.model_copy(update={"method": ONE_HOT})  # nothing to fuse with before pseudo VA
    inputs = {"labels": labels}
    for role, stage in (("va", va), ("chosen", chosen), ("adapted", adapted)):
        inputs |= {role: stage} if stage else {}
    experiment = experiment.model_copy(update={"labels": config})
    params = key_fields("targets", experiment)
    if labels.attached.knows_va and not own_va and va is None:
        params["own_va"] = False
    if weight != 1:
        params["weight"] = weight
    return Stage("targets", params, inputs, Attached(experiment, knows_va=known))


def run_data(stage: Stage, context: Context) -> FaceData:
    return stage.data


def run_labels(stage: Stage, context: Context) -> Given:
    seeds = stage.experiment.seeds
    data = context.product(stage.inputs["data"])
    if stage.params["held_out"]:
        data = for_protocol(data, stage.experiment.selection, seeds.split)
    else:
        data = all_trained(data)
    return given_labels(stage.experiment.labels, data, seeds.noise)


def run_select(stage: Stage, context: Context) -> Tensor:
    """(N,) bool. Raises UserError when nothing is left, with the model's accuracy and the class counts."""
    given: Given = context.product(stage.inputs["labels"])
    data: FaceData = context.product(stage.inputs["labels"].inputs["data"])
    trainer = trainer_after(stage.inputs["model"], context)
    rows = given.rows
    predicted = trainer.predict(data, rows).probs_NK.argmax(1)
    selected = torch.zeros(len(data), dtype=torch.bool)
    selected[rows[predicted == given.labels_N[rows]]] = True
    if int(selected.sum()) < 2:
        last = trainer.history[-1]
        accuracy = last.get("val/accuracy", last.get("fit/unflipped", float("nan")))
        raise UserError(
            f"M_A agrees with {int(selected.sum())} of {len(rows)} labels of {data.name}, so nothing can be selected "
            f"from it; M_A's accuracy is {accuracy:.3f}; labels of {data.name}: "
            f"{_counts(given.labels_N[rows], data.classes)}; M_A predicts: {_counts(predicted, data.classes)}"
        )
    return selected


def run_pseudo_va(stage: Stage, context: Context) -> Tensor:
    """(N, 2) float32, NaN for test images."""
    data: FaceData = context.product(stage.inputs["data"])
    rows = torch.nonzero(data.splits != TEST).flatten()
    va = torch.full((len(data), 2), torch.nan)
    va[rows] = trainer_after(stage.inputs["model"], context).predict(data, rows).affect_N2
    return va


def run_adapt(stage: Stage, context: Context) -> AdaptedTargets:
    """Statistics of all of B and all of A, applied to the remainder of B (Algorithms 1 and 2) or to all of it."""
    joint = stage.experiment.joint
    target, extra = (_with_va(stage, role, context) for role in ("target", "extra"))
    selected: Tensor = context.product(stage.inputs["subset"])
    data: FaceData = context.product(stage.inputs["extra"].inputs["data"])
    moved = extra.rows if joint.map_all else extra.rows[~selected[extra.rows]]
    va, notes = _mapped(joint.mapping, target, extra, moved, data)
    labels = extra.labels_N.clone()
    if joint.relabel:
        rows = target.rows
        centroids = class_centroids(target.va_N2[rows].double(), target.labels_N[rows], data.num_classes)
        rest = extra.rows[~selected[extra.rows]]  # what M_A agrees with keeps its label, also where all VA are mapped
        known = rest[va[rest].isfinite().all(1)]
        labels[known] = relabel_by_centroid(va[known].double(), centroids)
    return AdaptedTargets(labels, va, selected, notes)


def run_targets(stage: Stage, context: Context) -> TrainingPart:
    labels = stage.inputs["labels"]
    given: Given = context.product(labels)
    data: FaceData = context.product(labels.inputs["data"])
    if "va" in stage.inputs:
        given = replace(given, va_N2=context.product(stage.inputs["va"]), gaussians=None)
    elif not stage.params.get("own_va", True):
        given = replace(given, va_N2=torch.full_like(given.va_N2, torch.nan))
    if "adapted" in stage.inputs:
        adapted: AdaptedTargets = context.product(stage.inputs["adapted"])
        changed = adapted.labels_N != given.labels_N
        true = torch.where(changed, adapted.labels_N, given.true_N)
        votes = torch.where(changed[:, None], torch.nan, given.votes_NK)  # nobody voted for a new name
        given = replace(given, labels_N=adapted.labels_N, va_N2=adapted.va_N2, true_N=true, votes_NK=votes)
        given = replace(given, gaussians=None)  # theirs are of VA by another criterion
    if "chosen" in stage.inputs:
        given = given.only(torch.nonzero(context.product(stage.inputs["chosen"])).flatten())
    experiment = stage.experiment
    targets = build_targets(experiment.labels, experiment.objective, data.classes, given, data.name)
    return TrainingPart(data, replace(targets, weights_N=targets.weights_N * stage.params.get("weight", 1.0)))


class TensorFile:
    """A product that is one tensor."""

    @staticmethod
    def write(value: Tensor, folder: Path) -> None:
        np.save(folder / "value.npy", value.numpy(), allow_pickle=False)

    @staticmethod
    def read(folder: Path) -> Tensor:
        return torch.from_numpy(np.load(folder / "value.npy", allow_pickle=False))


def _with_va(stage: Stage, role: str, context: Context) -> Given:
    given: Given = context.product(stage.inputs[role])
    source: Any = stage.inputs.get(f"{role}_va")
    return given if source is None else replace(given, va_N2=context.product(source))


def _mapped(mapping: str, target: Given, extra: Given, moved: Tensor, data: FaceData) -> tuple[Tensor, tuple[str, ...]]:
    """VA of the extra set with the rows `moved` mapped, and what a reader must know."""
    va = extra.va_N2.clone()
    if mapping == "none" or not len(moved):
        return va, ()
    ours, theirs = target.rows, extra.rows
    to, source = (gaussian_stats(g.va_N2[rows].double()) for g, rows in ((target, ours), (extra, theirs)))
    notes = [f"the VA of {name} are nearly degenerate; 1e-6 was added to their variances"
             for name, stats in (("A", to), (data.name, source)) if stats.is_singular]  # fmt: skip
    points = va[moved].double()
    if mapping == "global":
        va[moved] = map_va(points, source, to).to(va.dtype)
        return va, tuple(notes)
    count = data.num_classes
    to_each, source_each = (
        class_stats(g.va_N2[rows].double(), g.labels_N[rows], count) for g, rows in ((target, ours), (extra, theirs))
    )
    notes += [
        f"the VA of {data.classes[k]} in {name} are nearly degenerate ({plural(stats.count, 'sample')}); 1e-6 was "
        "added to their variances"
        for name, each in (("A", to_each), (data.name, source_each))
        for k, stats in enumerate(each)
        if stats is not None and stats.is_singular
    ]
    mapped, fallback = map_va_by_class(points, extra.labels_N[moved], source_each, to_each, source, to)
    va[moved] = mapped.to(va.dtype)
    for k in fallback:
        counts = [_annotated(g, rows, k) for g, rows in ((target, ours), (extra, theirs))]
        notes.append(
            f"EDCLM fell back to the global map for {data.classes[k]} "
            f"({plural(counts[0], 'sample')} in A, {counts[1]} in {data.name})"
        )
    return va, tuple(notes)


def _annotated(given: Given, rows: Tensor, k: int) -> int:
    """How many of the rows have that label and VA."""
    return int(((given.labels_N[rows] == k) & given.va_N2[rows].isfinite().all(1)).sum())


def _counts(labels: Tensor, classes: tuple[str, ...]) -> str:
    counts = torch.bincount(labels, minlength=len(classes)).tolist()
    return ", ".join(f"{name} {count}" for name, count in zip(classes, counts, strict=True))
