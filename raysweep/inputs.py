"""What a launch needs besides the store: initial weights, and labels that its data can give."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from raysweep.core.errors import UserError
from raysweep.core.experiment import Experiment
from raysweep.data.splits import for_protocol
from raysweep.models.arm import check_size
from raysweep.models.backbones import check_weights
from raysweep.recipes import load_sets
from raysweep.training import check_every_class, given_labels, prepare_targets


def try_inputs(experiments: Iterable[Experiment], cache: Path) -> None:
    """Try whatever would fail every cell of an arm, as far as it can be tried before any training.

    Args:
        experiments: one of every arm.
        cache: folder of decoded images.

    Raises:
        UserError: weights that are missing or do not fit, images of a wrong size, classes without an image.
    """
    known = list(experiments)
    for model in {experiment.model for experiment in known}:
        check_weights(model.backbone, model.weights)
    for experiment in known:
        try:
            _try_labels(experiment, cache)
        except ValueError as error:
            raise UserError(str(error)) from None


def _try_labels(experiment: Experiment, cache: Path) -> None:
    """Labels of the target and of the extra sets."""
    sets = load_sets(experiment, cache)
    if experiment.model.backbone == "arm":
        check_size(*sets.target.images.shape[2:])
    held = [for_protocol(data, experiment.selection, experiment.seeds.split)
            for data in {id(data): data for data in (sets.target, sets.scored)}.values()]  # fmt: skip
    for data in held:
        check_every_class(data)
    for data in held:
        if experiment.joint.method == "target":
            prepare_targets(experiment, data)
        else:
            given_labels(experiment.labels, data, experiment.seeds.noise)
    for extra in sets.extras:
        given_labels(experiment.labels, extra, experiment.seeds.noise)
