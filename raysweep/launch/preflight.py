"""What a launch needs besides the store: initial weights, and labels that its data can give."""

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
"""Weights that are downloaded: a plan does not fetch them."""


def try_inputs(
    cells: Iterable[tuple[str, Experiment]], cache: Path, arms: int | None = None, download: bool = True
) -> None:
    """Try whatever would fail a cell, as far as it can be tried before any training.

    Args:
        cells: name of the arm and experiment, of every replicate.
        cache: folder of decoded images.
        arms: how many arms the study has; default as many as are named.
        download: whether initial weights that are not there may be fetched.

    Raises:
        UserError: weights that are missing or do not fit, images of a wrong size, classes without an image; says
            in which arms.
    """
    known = list(cells)
    for model in {experiment.model for _, experiment in known}:
        if download or model.weights != DOWNLOADED:
            check_weights(model.backbone, model.weights)
    faults: dict[str, str] = {}
    tried = _Tried()
    for name, experiment in known:
        try:
            tried.replicate(experiment, cache)
            if name not in faults:
                tried.labels(experiment, cache)
        except ValueError as error:
            faults.setdefault(name, str(error))
    if faults:
        raise error_of_arms(faults, arms or len({name for name, _ in known}))


class _Tried:
    """What was tried already, so that a study of a thousand cells tries each thing once."""

    def __init__(self) -> None:
        self.recipes: set[Experiment] = set()
        self.splits: set[tuple[object, ...]] = set()

    def replicate(self, experiment: Experiment, cache: Path) -> None:
        """Every class must be trained on: other replicates hold other images out."""
        for data in _scored(experiment, cache):
            token = (id(data), experiment.selection, experiment.seeds.split)
            if token not in self.splits:
                self.splits.add(token)
                held = for_protocol(data, experiment.selection, experiment.seeds.split)
                _check_classes(experiment, held)

    def labels(self, experiment: Experiment, cache: Path) -> None:
        """Labels of the target and of the extra sets, on the first replicate of a recipe."""
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
    """The target, and the set that is fine-tuned on."""
    sets = load_sets(experiment, cache)
    return list({id(data): data for data in (sets.target, sets.scored)}.values())


def _check_classes(experiment: Experiment, data: FaceData) -> None:
    try:
        check_every_class(data)
    except UserError as error:
        cap = experiment.data.train_images
        advice = f"; data.train_images={cap} is a limit: raise it" if cap is not None else ""
        raise UserError(f"{error}{advice}") from None
