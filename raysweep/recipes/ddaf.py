"""Dual-domain affect fusion: one training on fused labels, scored on the test images.

Under `select_then_retrain` (DDAF section 4.1) the training runs twice: with a validation part
held out, then on all training images.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from raysweep.core.experiment import Experiment
from raysweep.core.keys import cell_key
from raysweep.core.store import Store
from raysweep.core.version import code_version
from raysweep.data.dataset import FaceData
from raysweep.metrics import confusion, one_class_only
from raysweep.models.backbones import weights_checksum
from raysweep.training import EpochResult, FinalResult, Trainer, load_checkpoint, save_checkpoint, weights_hash

KIND = "ddaf"


@dataclass(frozen=True)
class CellResult:
    """What a finished cell is worth keeping: scores by MLflow name, facts, per-epoch history, predictions."""

    scores: dict[str, float]
    facts: dict[str, Any]
    history: list[dict[str, float]]
    arrays: dict[str, np.ndarray]

    def write(self, folder: Path) -> None:
        """`result.json` and `predictions.npz` in `folder`."""
        words = {"scores": self.scores, "facts": self.facts, "history": self.history}
        (folder / "result.json").write_text(json.dumps(words, indent=1))
        np.savez_compressed(folder / "predictions.npz", **self.arrays)  # type: ignore[arg-type]

    @classmethod
    def read(cls, folder: Path) -> CellResult:
        words = json.loads((folder / "result.json").read_text())
        with np.load(folder / "predictions.npz", allow_pickle=False) as arrays:
            return cls(words["scores"], words["facts"], words["history"], dict(arrays))


def experiment_key(experiment: Experiment, fingerprint: str) -> str:
    """SHA-256 over everything that can change a cell's numbers, data and initial weights included."""
    params = experiment.canonical()
    params["data"] = {"image_size": experiment.data.image_size, "test_images": experiment.data.test_images,
                      "train_images": experiment.data.train_images}  # fmt: skip
    model = experiment.model
    inputs = {"data": fingerprint, "weights": weights_checksum(model.backbone, model.weights) or "random"}
    params["model"] = {"backbone": model.backbone}
    return cell_key(KIND, params, inputs)


def run_cell(
    experiment: Experiment,
    data: FaceData,
    store: Store,
    device: str = "cpu",
    report: Callable[[EpochResult], None] = lambda result: None,
) -> CellResult:
    """Train and score one cell, or read it from the store when it is there.

    An unfinished cell goes on from its last checkpoint. `report` is called once an epoch; epochs
    done before a resume are reported again from the checkpoint's history.

    Raises:
        UserError: experiment and data do not go together.
        DegenerateLoss: the loss became NaN or infinite.
    """
    key = experiment_key(experiment, data.fingerprint)
    if store.get(key) is not None:
        return CellResult.read(store.folder(key))
    partial = store.partial(key)
    offset = 0
    if experiment.selection.protocol == "select_then_retrain":
        choice = _fit(_as_protocol(experiment, "validation"), data, device, partial / "select.pt", report, 0)
        offset, experiment = choice.epoch, _retrain(experiment, choice)
        result = _finish(_fit(experiment, data, device, partial / "retrain.pt", report, offset), choice)
    else:
        result = _finish(_fit(experiment, data, device, partial / "fit.pt", report, 0), None)
    if _is_first_rank():
        store.put(key, result.write, {"kind": KIND, "facts": result.facts})
    return result


def _fit(
    experiment: Experiment,
    data: FaceData,
    device: str,
    checkpoint: Path,
    report: Callable[[EpochResult], None],
    offset: int,
) -> Trainer:
    trainer = Trainer(experiment, data, device)
    state = load_checkpoint(checkpoint)
    if state is not None:
        trainer.load_state_dict(state)
        for number, metrics in enumerate(trainer.history, 1):
            report(EpochResult(number + offset, metrics))
    for result in trainer.epochs():
        if _is_first_rank():
            save_checkpoint(trainer.state_dict(), checkpoint)
        report(EpochResult(result.epoch + offset, result.metrics))
    return trainer


def _retrain(experiment: Experiment, choice: Trainer) -> Experiment:
    """The second training: all images, up to the epoch that validation chose (or all, for SWA and last)."""
    epochs = choice.best["epoch"] if experiment.selection.weights == "best" else experiment.train.epochs
    weights = "last" if experiment.selection.weights == "best" else experiment.selection.weights
    changes = {"train.epochs": epochs, "train.decay_every": experiment.train.decay_epochs}
    changes |= {"selection.weights": weights, "selection.protocol": "last"}
    return experiment.with_changes(changes)


def _as_protocol(experiment: Experiment, protocol: str) -> Experiment:
    return experiment.with_changes({"selection.protocol": protocol})


def _finish(trainer: Trainer, choice: Trainer | None) -> CellResult:
    """Scores of every kind of weights; the headline's stand under plain `test/`."""
    final = trainer.finish()
    scores: dict[str, float] = {}
    for kind, predictions in final.predictions.items():
        values = trainer.score(predictions)
        scores |= {f"test_{kind}/{name}": value for name, value in values.items()}
        if kind == final.headline:
            scores |= {f"test/{name}": value for name, value in values.items()}
    validated = choice or trainer
    if validated.best["epoch"] is not None and trainer.experiment.selection.protocol != "best_on_test":
        scores["val/best_macro_f1"] = validated.best["score"]
        scores["val/best_epoch"] = float(validated.best["epoch"])
    history = (choice.history if choice else []) + trainer.history
    return CellResult(scores, _facts(trainer, final), history, _arrays(trainer, final))


def _facts(trainer: Trainer, final: FinalResult) -> dict[str, Any]:
    headline = final.predictions[final.headline]
    data = trainer.data
    return {
        "degenerate": one_class_only(headline.probs_NK),
        "weights_hash": weights_hash(trainer.model.state_dict()),
        "noise_hash": trainer.targets.noise_hash,
        "flipped": int(trainer.targets.flipped_N.sum()),
        "images": [len(data.rows(split)) for split in (0, 1, 2)],
        "confusion": confusion(headline.probs_NK, data.labels[headline.rows]).tolist(),
        "classes": list(data.classes),
        "class_weights": trainer.targets.class_weights_K.tolist(),
        "data_fingerprint": data.fingerprint,
        "device": _device_words(trainer),
        "threads": torch.get_num_threads(),
        "code_version": code_version(),
        "torch_version": torch.__version__,
    }


def _device_words(trainer: Trainer) -> str:
    """The kind of device, and how many when there are several: a report flags cells of different ones."""
    gpu = trainer.device.type == "cuda"
    kind = torch.cuda.get_device_name(trainer.device) if gpu else platform.machine()
    return kind if trainer.ranks.size == 1 else f"{kind} x{trainer.ranks.size}"


def _arrays(trainer: Trainer, final: FinalResult) -> dict[str, np.ndarray]:
    """Per-image test predictions of the headline, for per-class scores, McNemar tests and ensembles."""
    headline = final.predictions[final.headline]
    rows, data = headline.rows, trainer.data
    return {
        "rows": rows.numpy(),
        "probs": headline.probs_NK.numpy(),
        "affect": headline.affect_N2.numpy(),
        "labels": data.labels[rows].numpy(),
        "va": data.va[rows].numpy(),
    }


def _is_first_rank() -> bool:
    distributed = torch.distributed
    return not distributed.is_initialized() or distributed.get_rank() == 0
