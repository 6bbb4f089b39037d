"""The last stage of a cell: scores of the test images, and of the labels a method made where the truth is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from raysweep.artifacts.adapted_labels import AdaptedLabels
from raysweep.artifacts.cell_result import CellResult
from raysweep.artifacts.predictions import ImagePredictions, ValidationPredictions
from raysweep.config.experiment import Experiment
from raysweep.config.sections import epochs_of
from raysweep.core.libraries import library_versions
from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.metrics.compute import confusion, label_scores, one_class_only, va_moments
from raysweep.pipeline.execution import Context, FitEvent, is_first_rank
from raysweep.pipeline.stage import Stage
from raysweep.training import EpochResult, FinalResult, Given, Trainer, load_checkpoint, save_checkpoint, weights_hash
from raysweep.training.predict import Predictions

from .attention import kept_attention
from .faces import AdaptedFaces, kept_faces
from .fit import CHECKPOINT, cost, device_name, trainer_after
from .labels import AdaptedTargets


def run_evaluate(stage: Stage, context: Context) -> CellResult:
    """Score the test images with every kind of weights; the headline's stand under plain `test/`."""
    trainer = trainer_after(stage.inputs["model"], context)
    return _result(trainer, trainer, stage, context)


def run_retrain(stage: Stage, context: Context) -> CellResult:
    """`select_then_retrain` (DDAF 4.1): train again on all images, up to the epoch that validation chose.

    Of a method with an extra set its final training alone, with the schedule it had: M_A, M_B, pseudo VA, selection and
    mapping stay as they were when the epoch was chosen.
    """
    choice = trainer_after(stage.inputs["model"], context)
    experiment = _retraining(stage.experiment, choice)
    data = context.product(stage.inputs["scored"])
    trained, joined = (
        [context.product(stage.inputs[name]) for name in sorted(stage.inputs) if name.startswith(role)]
        for role in ("all", "joined")
    )
    trainer = Trainer(experiment, data, context.device, trained=trained, extra=joined)
    state = context.from_first(lambda: load_checkpoint(context.store.partial_file(stage.key, CHECKPOINT)))
    if state is not None:
        trainer.load_state_dict(state)

    def tell(result: EpochResult, replayed: bool) -> None:
        epochs = choice.epoch + experiment.train.epochs
        number = choice.epoch + result.epoch
        piece = {"training": stage.key, "until": epochs, **cost(trainer, result.metrics)}
        context.report(FitEvent(stage.key, "retraining", number, epochs, result.metrics, replayed, **piece))

    for number, metrics in enumerate(trainer.history, 1):
        tell(EpochResult(number, metrics), replayed=True)
    for result in trainer.epochs():
        if is_first_rank():
            context.store.save_partial(stage.key, CHECKPOINT, partial(save_checkpoint, trainer.state_dict()))
        tell(result, replayed=False)
    return _result(trainer, choice, stage, context)


def _retraining(experiment: Experiment, choice: Trainer) -> Experiment:
    """The shorter training, schedules in epochs as they were; no SWA, since the chosen epoch is the last one.

    Not validated: it may end before B joins.
    """
    train, scn, joint = experiment.train, experiment.scn, experiment.joint

    def epochs(share: float | None, least: int = 1) -> float | None:
        return None if share is None else float(max(least, round(epochs_of(share, train.epochs))))

    shorter = {"epochs": choice.best["epoch"], "decay_every": float(train.decay_epochs), "swa_start": None}
    return experiment.model_copy(
        update={
            "train": train.model_copy(update=shorter),
            "scn": scn.model_copy(update={"relabel_from": epochs(scn.relabel_from)}),
            "joint": joint.model_copy(
                update={"warm_up": epochs(joint.warm_up, 0), "frequency": epochs(joint.frequency)}
            ),
            "selection": experiment.selection.model_copy(update={"weights": "last", "protocol": "last"}),
        }
    )


def _result(trainer: Trainer, choice: Trainer, stage: Stage, context: Context) -> CellResult:
    final = trainer.finish()
    scores: dict[str, float] = {}
    for kind, predictions in final.predictions.items():
        values = trainer.score(predictions)
        scores |= {f"test_{kind}/{name}": value for name, value in values.items()}
        if kind == final.headline:
            scores |= {f"test/{name}": value for name, value in values.items()}
    if choice.best["epoch"] is not None and trainer.experiment.selection.protocol != "best_on_test":
        scores[f"val/best_{choice.experiment.selection.metric}"] = choice.best["score"]
        scores["val/best_epoch"] = float(choice.best["epoch"])
    history = (choice.history if choice is not trainer else []) + trainer.history
    labels = _shown_labels(stage, context)
    scores |= {f"labels/{name}": value for name, value in label_scores(labels, _relabels(stage)).items()}
    scores |= {f"moments/{name}": value for name, value in va_moments(labels).items()}
    facts = _facts(trainer, final) | {"label_notes": _notes(stage, context)}
    headline = kept_predictions(final.predictions[final.headline], trainer.data)
    made = labels if labels.arrays() else None
    validation = None if final.validation is None else _validation(final.validation, trainer.data)
    attention, faces = kept_attention(trainer, final), kept_faces(trainer.parts[0], _adapted(stage, context))
    return CellResult(scores, facts, history, headline, made, attention, faces, validation)


def _validation(predictions: Predictions, data: FaceData) -> ValidationPredictions:
    return ValidationPredictions(**kept_predictions(predictions, data).arrays())


def _adapted(stage: Stage, context: Context) -> AdaptedFaces | None:
    """What faces of an extra set are kept of; None where a method adapts none."""
    if "shown_adapted" not in stage.inputs:
        return None
    extra = stage.inputs["shown_extra"]
    data: FaceData = context.product(extra.inputs["data"])
    return AdaptedFaces(data, context.product(extra), context.product(stage.inputs["shown_adapted"]))


def _shown_labels(stage: Stage, context: Context) -> AdaptedLabels:
    """Labels that the method changed, for figures and scores."""
    shown = {name.removeprefix("shown_"): s for name, s in stage.inputs.items() if name.startswith("shown_")}
    labels = AdaptedLabels()
    if "pseudo" in shown:
        given: Given = context.product(shown["labels"])
        data: FaceData = context.product(shown["labels"].inputs["data"])
        rows = given.rows
        labels = AdaptedLabels(
            target_labels=given.labels_N[rows].numpy(),
            target_va=context.product(shown["pseudo"])[rows].numpy(),
            target_truth_va=_rows_of(data.info.truth_va, rows),
            target_own_va=data.va[rows].numpy() if data.knows_va else None,
        )
    return _with_extra(labels, shown, context) if "extra" in shown else labels


def _rows_of(values: Tensor | None, rows: Tensor) -> np.ndarray | None:
    return None if values is None else values[rows].numpy()


def _with_extra(labels: AdaptedLabels, shown: dict[str, Stage], context: Context) -> AdaptedLabels:
    given: Given = context.product(shown["extra"])
    data: FaceData = context.product(shown["extra"].inputs["data"])
    adapted: AdaptedTargets | None = context.product(shown["adapted"]) if "adapted" in shown else None
    rows, probs = given.rows, data.info.target_probs
    return replace(
        labels,
        extra_labels_given=given.labels_N[rows].numpy(),
        extra_va_given=given.va_N2[rows].numpy(),
        extra_selected=context.product(shown["chosen"])[rows].numpy(),
        extra_labels_new=adapted.labels_N[rows].numpy() if adapted else None,
        extra_va_new=adapted.va_N2[rows].numpy() if adapted else None,
        extra_truth_labels=None if probs is None else probs[rows].argmax(1).numpy(),
        extra_truth_va=_rows_of(data.info.truth_va, rows),
    )


def _relabels(stage: Stage) -> bool:
    adapted = stage.inputs.get("shown_adapted")
    return adapted is not None and bool(adapted.experiment.joint.relabel)


def _notes(stage: Stage, context: Context) -> list[str]:
    return [
        note for name, adapted in stage.inputs.items() if "adapted" in name for note in context.product(adapted).notes
    ]


def _facts(trainer: Trainer, final: FinalResult) -> dict[str, Any]:
    headline = final.predictions[final.headline]
    data = trainer.data
    return {
        "degenerate": one_class_only(headline.probs_NK[data.labels[headline.rows] >= 0]),
        "weights_hash": weights_hash(trainer.model.state_dict()),
        "noise_hash": trainer.targets.noise_hash,
        "flipped": int(trainer.targets.flipped_N.sum()),
        "images": [len(data.rows(split)) for split in (0, 1, 2)],
        "trained_on": [len(part.rows) for part in trainer.parts],
        "confusion": confusion(headline.probs_NK, data.labels[headline.rows]).tolist(),
        "classes": list(data.classes),
        "class_weights": trainer.targets.class_weights_K.tolist(),
        "data_fingerprint": data.fingerprint,
        "device": device_name(trainer),
        "threads": torch.get_num_threads(),
        "code_version": code_version(),
        "torch_version": torch.__version__,
        "versions": library_versions(),
    }


def kept_predictions(predictions: Predictions, data: FaceData) -> ImagePredictions:
    """Predictions beside what is known of the images: for scores by class, McNemar tests and ensembles."""
    rows = predictions.rows
    return ImagePredictions(
        rows=rows.numpy(),
        probs=predictions.probs_NK.numpy(),
        affect=predictions.affect_N2.numpy(),
        labels=data.labels[rows].numpy(),
        va=data.va[rows].numpy(),
    )
