"""Number of images that trainings process, counted from their graphs without training."""

from __future__ import annotations

import itertools

from raysweep.data.dataset import TEST, TRAIN
from raysweep.data.splits import for_protocol
from raysweep.pipeline.stage import Stage
from raysweep.pipeline.stages.fit import chain
from raysweep.pipeline.tasks import Task

SMALLEST_BATCH = 2
"""Minimum images of a last batch to be trained on, on one device."""


class Images:
    """Counts images by epoch, piece or task, and caches the counts.

    Exact for trainings on one device whose images are known; an upper bound if M_A selects a part of an extra set.
    """

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def of_task(self, task: Task) -> int:
        return sum(self.of_piece(stage, epochs) for stage, epochs in task.pieces)

    def of_piece(self, stage: Stage, epochs: int) -> int:
        """Images of the last `epochs` epochs up to `stage`; all epochs of a retraining are equal."""
        if stage.kind == "retrain":
            return epochs * sum(_batches(self._rows_of(stage.inputs["all"]), _batch_size(stage)))
        return sum(self.of_epoch(epoch) for epoch in chain(stage)[-epochs:])

    def of_epoch(self, epoch: Stage) -> int:
        size = _batch_size(epoch)
        ours = _batches(self._count(epoch, "trained"), size)
        if not epoch.params["join"]:
            return sum(ours)
        theirs = _batches(self._count(epoch, "extra"), size)
        unit, _ = epoch.params["join"]
        if unit == "batch":  # one of theirs after each of ours, repeated from the start
            return sum(ours) + sum(itertools.islice(itertools.cycle(theirs), len(ours)))
        return sum(ours) + sum(theirs)

    def _count(self, epoch: Stage, role: str) -> int:
        return sum(self._rows_of(stage) for name, stage in epoch.inputs.items() if name.startswith(role))

    def _rows_of(self, targets: Stage) -> int:
        """Number of images that have a target."""
        labels = targets.inputs["labels"]
        if labels.key not in self._rows:
            experiment, data = labels.experiment, labels.inputs["data"].data
            if not labels.params["held_out"]:
                count = len(data) - len(data.rows(TEST, va_only=True))
            else:
                count = len(for_protocol(data, experiment.selection, experiment.seeds.split).rows(TRAIN, va_only=True))
            self._rows[labels.key] = count
        return self._rows[labels.key]


def _batch_size(stage: Stage) -> int:
    return stage.experiment.train.batch_size


def _batches(count: int, size: int) -> list[int]:
    """Sizes of the batches, as in `raysweep.training.sampler`."""
    sizes = [size] * (count // size) + [count % size]
    return [number for number in sizes if number >= SMALLEST_BATCH]
