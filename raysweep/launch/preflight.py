"""Checks before training: initial weights, image sizes, and labels that the data can give."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raysweep.config.experiment import Experiment
from raysweep.core.errors import UserError, error_of_arms
from raysweep.data.dataset import FaceData
from raysweep.data.splits import for_protocol
from raysweep.models.backbones import check_weights, find_backbone
from raysweep.pipeline import load_sets
from raysweep.training import check_every_class, given_labels, prepare_targets

DOWNLOADED = "imagenet"
"""The weights that are downloaded; a plan does not download them."""


def try_inputs(
    cells: Iterable[tuple[str, Experiment]], cache: Path, arms: int | None = None, download: bool = True
) -> None:
    """Check every input that would fail a cell, as far as possible before training.

    Args:
        cells: arm name and experiment of every replicate.
        cache: folder of decoded images.
        arms: number of arms of the study; default: the arms in `cells`.
        download: whether missing initial weights may be downloaded.

    Raises:
        UserError: weights that are missing or do not fit, images of a wrong size, classes without an image; names
            the arms.
    """
    known = list(cells)
    for model in {experiment.model for _, experiment in known}:
        if download or model.weights != DOWNLOADED:
            check_weights(model.backbone, model.weights)
    faults: dict[str, str] = {}
    checks = _InputChecks()
    for name, experiment in known:
        try:
            checks.replicate(experiment, cache)
            if name not in faults:
                checks.labels(experiment, cache)
        except ValueError as error:
            faults.setdefault(name, str(error))
    if faults:
        raise error_of_arms(faults, arms or len({name for name, _ in known}))


class _InputChecks:
    """Remembers what was checked, so that a study of many cells checks each input once."""

    def __init__(self) -> None:
        self.recipes: set[Experiment] = set()
        self.splits: set[tuple[object, ...]] = set()

    def replicate(self, experiment: Experiment, cache: Path) -> None:
        """Every class needs a training image in this replicate's split."""
        for data in _scored(experiment, cache):
            token = (id(data), experiment.selection, experiment.seeds.split)
            if token not in self.splits:
                self.splits.add(token)
                held = for_protocol(data, experiment.selection, experiment.seeds.split)
                _check_classes(experiment, held)

    def labels(self, experiment: Experiment, cache: Path) -> None:
        """Make the labels of the target and of the extra sets, once per recipe."""
        recipe = experiment.with_replicate(0)
        if recipe in self.recipes:
            return
        self.recipes.add(recipe)
        sets = load_sets(experiment, cache)
        find_backbone(experiment.model.backbone).check_size(*sets.target.images.shape[2:])
        for data in _scored(experiment, cache):
            held = for_protocol(data, experiment.selection, experiment.seeds.split)
            if not experiment.joint.kind.on_extra:
                prepare_targets(experiment, held)
            else:
                given_labels(experiment.labels, held, experiment.seeds.noise)
        for extra in sets.extras:
            given_labels(experiment.labels, extra, experiment.seeds.noise)


def _scored(experiment: Experiment, cache: Path) -> list[FaceData]:
    """The target, and the set for fine-tuning if there is one."""
    sets = load_sets(experiment, cache)
    return list({id(data): data for data in (sets.target, sets.scored)}.values())


def _check_classes(experiment: Experiment, data: FaceData) -> None:
    try:
        check_every_class(data)
    except UserError as error:
        cap = experiment.data.train_images
        advice = f"; data.train_images={cap} is a limit: raise it" if cap is not None else ""
        raise UserError(f"{error}{advice}") from None
