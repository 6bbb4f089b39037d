"""The last stage of a search's trial: scores of the validation images. The test images are never looked at."""

from __future__ import annotations

from typing import Any

import torch

from raysweep.artifacts.cell_result import CellResult
from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError
from raysweep.core.version import code_version
from raysweep.data.dataset import VALIDATION
from raysweep.metrics.compute import confusion, one_class_only
from raysweep.pipeline.datasets import Sets
from raysweep.pipeline.execution import Context
from raysweep.pipeline.methods import build
from raysweep.pipeline.stage import Attached, Known, Stage
from raysweep.pipeline.stage_kinds import key_fields
from raysweep.training import weights_hash

from .evaluate import kept_predictions
from .fit import trainer_after


def build_validation(experiment: Experiment, sets: Sets, known: Known | None = None) -> Stage:
    """The last stage of a trial. Everything before it is what the cell of the same experiment is made from.

    Raises:
        UserError: a protocol that does not choose on validation images, or data that do not fit the method.
    """
    protocol = experiment.selection.protocol
    if protocol != "validation":
        raise UserError(
            f"a search selects on validation images, but selection.protocol is {protocol!r}: "
            "add --set selection.protocol=validation"
        )
    cell = build(experiment, sets, known)
    inputs = {"model": cell.inputs["model"], "scored": cell.inputs["scored"]}
    return Stage("validate", key_fields("validate", experiment), inputs, Attached(experiment))


def run_validate(stage: Stage, context: Context) -> CellResult:
    """`validation/<score>` of the weights that the cell's headline would be."""
    trainer = trainer_after(stage.inputs["model"], context)
    rows = trainer.data.rows(VALIDATION, va_only=True)
    predictions = trainer.predict(trainer.data, rows)
    scores = {f"validation/{name}": value for name, value in trainer.score(predictions).items()}
    if trainer.best["epoch"] is not None:
        scores["val/best_epoch"] = float(trainer.best["epoch"])
    facts: dict[str, Any] = {
        "degenerate": one_class_only(predictions.probs_NK[trainer.data.labels[rows] >= 0]),
        "weights_hash": weights_hash(trainer.model.state_dict()),
        "images": len(rows),
        "confusion": confusion(predictions.probs_NK, trainer.data.labels[rows]).tolist(),
        "classes": list(trainer.data.classes),
        "data_fingerprint": trainer.data.fingerprint,
        "code_version": code_version(),
        "torch_version": torch.__version__,
    }
    return CellResult(scores, facts, trainer.history, kept_predictions(predictions, trainer.data))
