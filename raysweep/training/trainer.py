"""`Trainer`: fits one experiment and yields an `EpochResult` an epoch.

    for result in Trainer(experiment, data).epochs():
        print(result.epoch, result.metrics["val/macro_f1"])

Callers log, save and stop; the trainer only trains. It knows torch.distributed when a process
group is there: every rank takes its share of each batch, gradients are averaged.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from raysweep.core.errors import UserError
from raysweep.core.experiment import Experiment
from raysweep.data.batches import epoch_batches
from raysweep.data.dataset import TEST, TRAIN, VALIDATION, FaceData
from raysweep.data.splits import for_protocol
from raysweep.metrics import all_scores
from raysweep.models import build_model

from .device_faces import DeviceFaces
from .evaluate import Predictions, predict
from .fit_tally import FitTally
from .objective import loss_terms
from .ranks import Ranks
from .targets import prepare_targets


class DegenerateLoss(FloatingPointError):
    """The loss stopped being a number."""


@dataclass(frozen=True)
class EpochResult:
    """One epoch. `metrics`: train/*, fit/*, val/* (test_epoch/* under best_on_test), learning_rate, seconds."""

    epoch: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class FinalResult:
    """Test predictions of each kind of weights ("last", "swa", "best"), and the headline kind."""

    headline: str
    predictions: dict[str, Predictions]
    best_epoch: int | None


class Trainer:
    """One training run of an experiment on a data set.

    Args:
        experiment: what to fit. Its selection protocol decides the splits.
        data: faces with their official test split; validation images are held out here.
        device: "cpu" or a CUDA device.

    Raises:
        UserError: the data cannot be used with this experiment.
    """

    def __init__(self, experiment: Experiment, data: FaceData, device: str | torch.device = "cpu") -> None:
        self.experiment = experiment
        self.device = torch.device(device)
        self.data = for_protocol(data, experiment.selection, experiment.seeds.split)
        self.targets = prepare_targets(experiment, self.data)
        self.faces = DeviceFaces(self.data, self.targets, self.device, experiment.seeds.order, experiment.augment)
        self.ranks = Ranks.current()
        self._set_device_mode()
        train = experiment.train
        model = build_model(experiment.model, data.num_classes, experiment.seeds.init).to(self.device)
        self.model = model.to(memory_format=torch.channels_last)
        self.step_model = self.ranks.wrap(self.model, self.device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay, fused=True
        )
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, train.decay_epochs, train.decay_factor)
        self.average = AveragedModel(self.model) if train.swa_epoch else None
        self.epoch = 0
        self.best: dict[str, Any] = {"epoch": None, "score": -1.0, "weights": None}
        self.history: list[dict[str, float]] = []

    def epochs(self) -> Iterator[EpochResult]:
        """Train to the last epoch, from wherever the state stands. Raises DegenerateLoss."""
        while self.epoch < self.experiment.train.epochs:
            began = time.perf_counter()
            self.epoch += 1
            rate = float(self.scheduler.get_last_lr()[0])
            fit = self._fit_one_epoch()
            self.scheduler.step()
            if self.average is not None and self.epoch >= (self.experiment.train.swa_epoch or 0):
                self.average.update_parameters(self.model)
            metrics = self._monitor() | fit  # the headline first: MLflow's comparison opens on the first metric
            metrics |= {"learning_rate": rate, "seconds": time.perf_counter() - began}
            self.history.append(metrics)
            yield EpochResult(self.epoch, metrics)

    def finish(self) -> FinalResult:
        """Predict the test images once with the last weights, the SWA average and the best epoch."""
        predictions = {"last": self._predict(self.model, TEST)}
        if self.average is not None:
            predictions["swa"] = self._predict(self._ready_average(), TEST)
        if self.best["weights"] is not None:
            best = copy.deepcopy(self.model)
            best.load_state_dict(self.best["weights"])
            predictions["best"] = self._predict(best, TEST)
        return FinalResult(self.experiment.selection.weights, predictions, self.best["epoch"])

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later `load_state_dict` needs to go on bit for bit. Tensors and plain values."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "best": self.best,
            "history": self.history,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.best, self.history = state["epoch"], state["best"], list(state["history"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])

    def _fit_one_epoch(self) -> dict[str, float]:
        self.step_model.train()
        tally, faces = FitTally(self.device), self.faces
        for batch in self._batches(self.epoch):
            rows = self.ranks.share(batch)
            with self._autocast():
                logits, affect = self.step_model(faces.augmented(rows, self.epoch))
            terms = loss_terms(
                logits,
                affect,
                faces.soft_NK[rows],
                faces.va_N2[rows],
                faces.weights_N[rows],
                self.experiment.objective,
                count=len(batch),
            )
            self.optimizer.zero_grad(set_to_none=True)
            (terms["loss"] * self.ranks.size).backward()  # gradients are averaged over ranks, the loss is the batch's
            self.optimizer.step()
            tally.add(
                terms, len(batch), logits.detach(), faces.given_N[rows], faces.true_N[rows], faces.flipped_N[rows]
            )
        metrics = tally.metrics()
        if not math.isfinite(metrics["train/loss"]):
            raise DegenerateLoss(f"the loss became {metrics['train/loss']} in epoch {self.epoch}")
        return metrics

    def _batches(self, epoch: int) -> list[Tensor]:
        train = self.experiment.train
        rows, least = self.data.rows(TRAIN), 2 * self.ranks.size
        if min(len(rows), train.batch_size) < least:
            raise UserError(
                f"a batch needs {least} images (two a device), but {min(len(rows), train.batch_size)} are there"
            )
        batches = epoch_batches(rows, train.batch_size, self.experiment.seeds.order, epoch, at_least=least)
        return [batch.to(self.device) for batch in batches]

    def _monitor(self) -> dict[str, float]:
        """Scores that choose the best epoch: validation, or test when the protocol is best_on_test."""
        watch_test = self.experiment.selection.protocol == "best_on_test"
        split, prefix = (TEST, "test_epoch") if watch_test else (VALIDATION, "val")
        if not len(self.data.rows(split)):
            return {}
        scores = self.ranks.agree(self.score(self._predict(self.model, split)))
        if scores["macro_f1"] > self.best["score"]:
            weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.best = {"epoch": self.epoch, "score": scores["macro_f1"], "weights": weights}
        return {f"{prefix}/{name}": value for name, value in scores.items()}

    def score(self, predictions: Predictions) -> dict[str, float]:
        """Every score of predictions against the data set's labels, affect and votes."""
        rows = predictions.rows
        data = self.data
        return all_scores(
            predictions.probs_NK, predictions.affect_N2, data.labels[rows], data.va[rows], data.votes[rows]
        )

    def _ready_average(self) -> nn.Module:
        """The SWA model with batch-norm statistics of its own, from one pass over augmented training images."""
        assert self.average is not None
        model = copy.deepcopy(self.average)
        with self._autocast():
            update_bn((self.faces.augmented(rows, epoch=0) for rows in self._batches(epoch=0)), model)
        return model

    def _predict(self, model: nn.Module, split: int) -> Predictions:
        with self._autocast():
            return predict(model, self.data.rows(split), self.faces.plain)

    def _autocast(self) -> torch.autocast:
        reduced = self.experiment.train.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=reduced)

    def _set_device_mode(self) -> None:
        if self.device.type != "cuda":
            return
        exact = self.experiment.train.deterministic
        if exact:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(exact)
        torch.backends.cudnn.benchmark = not exact
