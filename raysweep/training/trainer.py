"""`Trainer`: fits one experiment and yields an `EpochResult` an epoch.

    for result in Trainer(experiment, data).epochs():
        print(result.epoch, result.metrics["val/macro_f1"])

Logging, saving and stopping are the caller's. In a process group of torch.distributed, every rank
takes its share of each batch and gradients are averaged.
"""

from __future__ import annotations

import copy
import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from raysweep.config.experiment import Experiment
from raysweep.core.awake import awake
from raysweep.core.errors import UserError
from raysweep.data.dataset import TEST, VALIDATION, FaceData
from raysweep.data.splits import for_protocol
from raysweep.metrics.compute import all_scores
from raysweep.models import Outputs, build_model, fresh_affinity

from .device_dataset import DeviceFaces, DeviceImages
from .distributed import Ranks
from .epoch_metrics import FitTally
from .grad_cam import grad_cam
from .objective import loss_terms
from .predict import Predictions, predict
from .results import EpochResult, FinalResult
from .sampler import balanced_draw, epoch_batches, in_batches
from .scn import high_importance, rank_loss, relabelled
from .selection import better, check_metric, watched
from .targets import TrainingPart, prepare_targets


class DegenerateLoss(FloatingPointError):
    """The loss became infinite or NaN."""


class Trainer:
    """One training run.

        Trainer(experiment, data)                                  # the target alone, as DDAF trains
        Trainer(experiment, data, trained=[a, b])                  # two data sets as one
        Trainer(experiment, data, trained=[a], extra=[b])          # DCJT's joint training (Algorithm 3)

    Args:
        experiment: what to fit. Its selection protocol decides the splits of `data`.
        data: the faces whose validation and test images are scored, with their official test split.
        device: "cpu" or a CUDA device.
        trained: parts that every epoch trains on; default the training images of `data`.
        extra: parts that join by the schedule of `experiment.joint`, after the pass or batch by batch.
        start: initial weights instead of random ones (a state dict of the model or of its encoder), for fine-tuning.

    Raises:
        UserError: the data cannot be used with this experiment.
    """

    def __init__(
        self,
        experiment: Experiment,
        data: FaceData,
        device: str | torch.device = "cpu",
        *,
        trained: Sequence[TrainingPart] | None = None,
        extra: Sequence[TrainingPart] = (),
        start: dict[str, Tensor] | None = None,
    ) -> None:
        self.experiment = experiment
        self.device = torch.device(device)
        self.data = for_protocol(data, experiment.selection, experiment.seeds.split)
        trained = trained if trained is not None else [TrainingPart(self.data, prepare_targets(experiment, self.data))]
        self.parts, self.count = [*trained, *extra], len(trained)
        self.targets = self.parts[0].targets
        self.faces = DeviceFaces(self.parts, self.device, experiment.seeds.order, experiment.augment)
        self.scored_images = self._scored_images()
        self.ranks = Ranks.current()
        self._set_device_mode()
        check_metric(experiment.selection.metric, self.data, watched(experiment.selection, self.data))
        train = experiment.train
        model = build_model(experiment.model, data.num_classes, experiment.seeds.init).to(self.device)
        if start is not None:
            model.load_state_dict({**model.state_dict(), **start})  # what `start` lacks keeps its initial values
        self.model = model.to(memory_format=torch.channels_last)
        self.step_model = self.ranks.wrap(self.model, self.device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=train.learning_rate, weight_decay=train.weight_decay, fused=True
        )
        self.average: AveragedModel | None = None
        self.epoch = 0
        self.best: dict[str, Any] = {"epoch": None, "score": None, "weights": None}
        self.history: list[dict[str, float]] = []

    def epochs(self, until: int | None = None) -> Iterator[EpochResult]:
        """Train from the current epoch to `until` (default the last). Raises DegenerateLoss."""
        while self.epoch < (until or self.experiment.train.epochs):
            began = awake()
            self.epoch += 1
            rate = self.experiment.train.rate(self.epoch)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            fit = self._fit_one_epoch()
            self.ranks.broadcast_buffers(self.model)
            if self.experiment.train.averages(self.epoch):
                self.average = self.average or AveragedModel(self.model)
                self.average.update_parameters(self.model)
            metrics = self._monitor() | fit  # the headline first: MLflow's comparison starts with the first metric
            metrics |= {"learning_rate": rate, "seconds": awake() - began}
            self.history.append(metrics)
            yield EpochResult(self.epoch, metrics)

    def finish(self) -> FinalResult:
        """Predict the test images once with the last weights, the SWA average and the best epoch, and the validation
        images with those of the headline."""
        kinds = ["last", *(["swa"] if self.average is not None else []), *(["best"] if self.best["weights"] else [])]
        models = {kind: self.ready_model(kind) for kind in kinds}
        predictions = {kind: self._predict(model, self.data.rows(TEST, va_only=True)) for kind, model in models.items()}
        config = self.experiment
        headline, rows = config.selection.weights, self.data.rows(TEST)
        attention = grad_cam(models[headline], config.model.backbone, rows, self.data.labels, self.scored_images)
        held_out = self.data.rows(VALIDATION, va_only=True)
        validation = self._predict(models[headline], held_out) if len(held_out) else None
        return FinalResult(headline, predictions, self.best["epoch"], attention, validation)

    def ready_model(self, kind: str | None = None) -> nn.Module:
        """The model with the "last", "swa" or "best" weights (default: the headline's), ready to predict."""
        kind = kind or self.experiment.selection.weights
        if kind == "last":
            return self.model
        if kind == "swa":
            return self._ready_average()
        best = copy.deepcopy(self.model)
        best.load_state_dict(self.best["weights"])
        return best

    def state_dict(self) -> dict[str, Any]:
        """The state from which `load_state_dict` continues bit for bit. Tensors and plain values."""
        return {
            "epoch": self.epoch,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "best": self.best,
            "history": self.history,
            "given": self.faces.given_N[: self._rows_so_far()].cpu() if self._relabels(self.epoch) else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.best, self.history = state["epoch"], dict(state["best"]), list(state["history"])
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = None
        if state["average"] is not None:
            self.average = AveragedModel(self.model)
            self.average.load_state_dict(state["average"])
        if state["given"] is not None:
            self._set_labels(torch.arange(len(state["given"])), state["given"])

    def _rows_so_far(self) -> int:
        """Rows of the parts trained on so far; those that join later start with their own labels."""
        joint, epochs = self.experiment.joint, self.experiment.train.epochs
        joined = any(joint.joins(epoch, epochs) for epoch in range(1, self.epoch + 1))
        return self.faces.starts[-1 if joined else self.count]

    def _fit_one_epoch(self) -> dict[str, float]:
        self.step_model.train()
        tallies = {"train": FitTally(self.device), "extra": FitTally(self.device)}
        new_labels: list[tuple[Tensor, Tensor]] = []
        for which, batch in self._steps():
            rows = self.ranks.share(batch)
            out, terms = self._step(rows, len(batch))
            faces, logits = self.faces, out.logits.detach()
            tallies[which].add(
                terms, len(batch), logits, faces.given_N[rows], faces.true_N[rows], faces.flipped_N[rows]
            )
            if self._relabels(self.epoch):
                new_labels.append((rows, self._scn_labels(rows, out)))
        metrics = tallies["train"].metrics()
        if tallies["extra"].samples:
            metrics |= {f"extra/{name.split('/')[1]}": v for name, v in tallies["extra"].metrics().items()}
        metrics["images"] = float(sum(tally.samples for tally in tallies.values()))
        for loss in (metrics["train/loss"], metrics.get("extra/loss", 0.0)):
            if not math.isfinite(loss):
                raise DegenerateLoss(f"the loss became {loss} in epoch {self.epoch}")
        if new_labels:
            samples = sum(tally.samples for tally in tallies.values())
            metrics["fit/relabelled"] = self._apply_relabelling(new_labels) / samples
        return metrics

    def _step(self, rows: Tensor, count: int) -> tuple[Outputs, dict[str, Tensor]]:
        """Forward, backward and update on this rank's rows of a batch of `count`."""
        faces = self.faces
        with self._autocast():
            out: Outputs = self.step_model(faces.augmented(rows, self.epoch))
        soft, va, weights = faces.soft_NK[rows], faces.va_N2[rows], faces.weights_N[rows]
        terms = loss_terms(out.logits, out.affect, soft, va, weights, self.experiment.objective, count=count)
        if out.importance is not None:
            scn = self.experiment.scn
            part = len(rows) / count  # groups are formed on each device; losses are means over the batch
            terms["rank"] = rank_loss(out.importance.float(), scn.high_share, scn.margin) * part
            terms["loss"] = terms["loss"] + scn.rank_weight * terms["rank"]
        self.optimizer.zero_grad(set_to_none=True)
        (terms["loss"] * self.ranks.size).backward()  # gradients are averaged over ranks, the loss is the batch's
        self.optimizer.step()
        return out, terms

    def _relabels(self, epoch: int) -> bool:
        """Whether SCN changes labels at the end of an epoch."""
        config = self.experiment
        return config.model.head == "scn" and config.scn.relabels(epoch, config.train.epochs)

    def _scn_labels(self, rows: Tensor, out: Outputs) -> Tensor:
        """SCN's labels for the images of a step; its groups of importance are those of the rank loss."""
        scn = self.experiment.scn
        assert out.importance is not None
        low = ~high_importance(out.importance.detach().float(), scn.high_share) if scn.relabel_among == "low" else None
        probs = out.logits.detach().float().softmax(1)
        return relabelled(probs, self.faces.given_N[rows], scn.relabel_margin, low)

    def _apply_relabelling(self, new_labels: list[tuple[Tensor, Tensor]]) -> int:
        """Set new labels on every rank; returns how many changed. An image that was drawn several times with
        different new labels gets the highest class, so that all ranks agree."""
        before = self.faces.given_N
        new = torch.zeros_like(before)
        for rows, labels in new_labels:
            new.scatter_reduce_(0, rows, torch.where(labels != before[rows], labels + 1, 0), "amax")
        new = self.ranks.largest(new)
        rows = torch.nonzero(new).flatten()
        self._set_labels(rows.cpu(), new[rows].cpu() - 1)
        return len(rows)

    def _set_labels(self, rows: Tensor, labels: Tensor) -> None:
        """Set hard labels and their one-hot soft labels, which SCN trains on."""
        faces, known = self.faces, labels >= 0
        rows, labels = rows[known].to(self.device), labels[known].to(self.device)
        faces.given_N[rows] = labels
        faces.soft_NK[rows] = F.one_hot(labels, faces.soft_NK.shape[1]).to(faces.soft_NK.dtype)

    def _steps(self) -> Iterator[tuple[str, Tensor]]:
        """The batches of this epoch in turn: ("train" or "extra", rows)."""
        train, joint = self.experiment.train, self.experiment.joint
        trained = self._batches(self.epoch)
        if len(self.parts) == self.count or not joint.joins(self.epoch, train.epochs):
            yield from (("train", batch) for batch in trained)
            return
        extra = self._extra_batches()
        if joint.unit == "batch":
            for batch, extra_batch in zip(trained, itertools.cycle(extra), strict=False):
                yield "train", batch
                yield "extra", extra_batch
            return
        yield from (("train", batch) for batch in trained)
        yield from (("extra", batch) for batch in extra)

    def _batches(self, epoch: int) -> list[Tensor]:
        rows = torch.cat(self.faces.rows[: self.count])
        least = self._smallest_batch(len(rows))
        size = self.experiment.train.batch_size
        batches = epoch_batches(rows, size, self.experiment.seeds.order, epoch, at_least=least)
        return [batch.to(self.device) for batch in batches]

    def _extra_batches(self) -> list[Tensor]:
        config, seed = self.experiment, self.experiment.seeds.order
        rows = torch.cat(self.faces.rows[self.count :])
        least = self._smallest_batch(len(rows))
        if config.joint.draw == "balanced":
            order = balanced_draw(rows, self.faces.given_N[rows.to(self.device)].cpu(), seed, self.epoch)
            batches = in_batches(order, config.train.batch_size, least)
        else:
            batches = epoch_batches(rows, config.train.batch_size, seed, self.epoch, least, stream="extra order")
        return [batch.to(self.device) for batch in batches]

    def _smallest_batch(self, count: int) -> int:
        """Fewest images of a batch. Raises UserError when no batch can have so many."""
        least, largest = 2 * self.ranks.size, min(count, self.experiment.train.batch_size)
        if largest < least:
            raise UserError(f"a batch needs {least} images (two a device), but {largest} are there")
        return least

    def _monitor(self) -> dict[str, float]:
        """Scores of validation images (test images under best_on_test), `selection.metric` first; keeps the weights
        of the best epoch, the first of equal ones."""
        selection = self.experiment.selection
        metric, rows = selection.metric, watched(selection, self.data)
        if not len(rows):
            return {}
        scores = self.ranks.agree(self.score(self._predict(self.model, rows)))
        if better(metric, scores[metric], self.best["score"]):
            weights = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
            self.best = {"epoch": self.epoch, "score": scores[metric], "weights": weights}
        prefix = "test_epoch" if selection.protocol == "best_on_test" else "val"
        return {f"{prefix}/{name}": value for name, value in ({metric: scores[metric]} | scores).items()}

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
        with self._autocast(), fresh_affinity(model):
            update_bn((self.faces.augmented(rows, epoch=0) for rows in self._batches(epoch=0)), model)
        return model

    def _predict(self, model: nn.Module, rows: Tensor) -> Predictions:
        with self._autocast():
            return predict(model, rows, self.scored_images)

    def predict(self, data: FaceData, rows: Tensor) -> Predictions:
        """Predictions of the headline's weights for images of any data set."""
        with self._autocast():
            return predict(self.ready_model(), rows, DeviceImages([data], self.device).plain)

    def _scored_images(self) -> Callable[[Tensor], Tensor]:
        """A function from rows of `data` to images; it shares the device's copy of images that are trained on."""
        for part, start in zip(self.parts, self.faces.starts, strict=False):
            if part.data.images is self.data.images:
                return lambda rows: self.faces.plain(rows + start)
        return DeviceImages([self.data], self.device).plain

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
