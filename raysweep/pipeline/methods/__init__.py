"""Methods as graphs of stages, by `joint.method`: everything that a cell needs, from its data to its scores."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

from raysweep.config.experiment import Experiment
from raysweep.config.methods import METHODS
from raysweep.pipeline.datasets import Sets, check_sets, replaces_own_va
from raysweep.pipeline.stage import Attached, Known, Stage
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.pipeline.stages.fit import fit_chain, start_from
from raysweep.pipeline.stages.labels import labels_stage, targets_stage

from .ground import Built, Ground, chosen_by_what_is_fitted


def build(experiment: Experiment, sets: Sets, known: Known | None = None) -> Stage:
    """The last stage of a cell: its scores. Its inputs lead to every other stage of the cell.

    Args:
        known: of the other cells of a study, so that what they share is built once; it must not outlive them.

    Raises:
        UserError: data sets that do not go together, or that lack what the method needs.
    """
    check_sets(experiment, sets)
    retrain = experiment.selection.protocol == "select_then_retrain"
    chosen = experiment.with_changes({"selection.protocol": "validation"}) if retrain else experiment
    ground = Ground(chosen, sets, known or Known())
    built: Built = resolve_name(f"{__name__}.{METHODS[experiment.joint.method].build}")(ground)
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
    tuned = chosen_by_what_is_fitted(experiment.with_changes(changes))
    model = fit_chain(tuned, data, [targets], start=start, title="fine-tuning", known=ground.known)
    return Built(model, built.shown), data
