"""What a cell keeps for reports besides test predictions: faces with their labels, and validation predictions."""

import numpy as np
import pytest
import torch

from raysweep.artifacts.cell_result import CellResult
from raysweep.data.dataset import VALIDATION
from raysweep.data.splits import for_protocol
from raysweep.labels.gaussians import ClassGaussians, class_gaussians, gaussian_labels
from raysweep.metrics.compute import expression_scores
from raysweep.pipeline import Sets, run_cell
from raysweep.store.store import Store
from tests.conftest import make_squares
from tests.test_golden import joint_experiment


def kept(experiment, sets, folder):
    """The result of a cell, as it is read from its product."""
    run_cell(experiment, sets, Store(folder))
    (file,) = folder.rglob("predictions.npz")
    return CellResult.read(file.parent)


@pytest.fixture(scope="module")
def fused(tmp_path_factory):
    torch.set_num_threads(1)
    from raysweep.config.experiment import Experiment

    experiment = Experiment().with_changes(
        {
            "model.backbone": "small", "model.weights": None, "train.epochs": 2, "train.batch_size": 32,
            "train.learning_rate": 3e-3, "train.swa_start": None, "labels.noise_rate": 0.3, "labels.alpha": 0.75,
            "labels.method": "gaussian", "labels.within_std": None, "selection.weights": "best",
        }
    )  # fmt: skip
    data = make_squares()
    return experiment, data, kept(experiment, data, tmp_path_factory.mktemp("fused"))


def test_faces_are_the_first_of_each_class(fused):
    experiment, data, result = fused
    split = for_protocol(data, experiment.selection, experiment.seeds.split)
    train = torch.nonzero(split.splits == 0).flatten()
    rows = [int(train[split.labels[train] == k][0]) for k in range(4)]
    faces = result.faces
    assert faces.labels_true.tolist() == [0, 1, 2, 3]
    assert (faces.pixels == data.images[rows].permute(0, 2, 3, 1).numpy()).all()
    assert (faces.va == data.va[rows].numpy()).all()
    assert faces.extra_pixels is None


def test_fused_labels_are_made_of_the_given_and_the_mixed_ones(fused):
    faces = fused[2].faces
    given = np.eye(4)[faces.labels]
    assert faces.fused == pytest.approx(0.75 * given + 0.25 * faces.mixed, abs=1e-6)
    gaussians = ClassGaussians(*(torch.from_numpy(part) for part in (faces.priors, faces.means, faces.covariances)))
    assert faces.mixed == pytest.approx(
        gaussian_labels(torch.from_numpy(faces.va).double(), gaussians).numpy(), abs=1e-6
    )


def test_gaussians_are_those_of_the_training_images(fused):
    experiment, data, result = fused
    split = for_protocol(data, experiment.selection, experiment.seeds.split)
    rows = split.splits == 0
    expected = class_gaussians(data.va[rows].double(), data.labels[rows], 4, None)
    for name, part in zip(("priors", "means", "covariances"), expected, strict=True):
        assert getattr(result.faces, name) == pytest.approx(part.numpy())


def test_validation_predictions_are_of_the_headline(fused):
    experiment, data, result = fused
    split = for_protocol(data, experiment.selection, experiment.seeds.split)
    known = result.validation
    assert known.rows.tolist() == split.rows(VALIDATION).tolist()
    assert known.labels.tolist() == data.labels[known.rows].tolist()
    scores = expression_scores(torch.from_numpy(known.probs), torch.from_numpy(known.labels))
    assert scores["macro_f1"] == pytest.approx(result.scores["val/best_macro_f1"], abs=1e-6)


@pytest.mark.parametrize("protocol", ["last", "select_then_retrain"])
def test_nothing_held_out_is_no_validation(quick, protocol, tmp_path):
    changes = {"selection.protocol": protocol, "selection.weights": "last" if protocol == "last" else "best",
               "train.epochs": 1, "train.swa_start": None, "labels.method": "one_hot"}  # fmt: skip
    result = kept(quick.with_changes(changes), make_squares(), tmp_path)
    assert result.validation is None
    assert np.isnan(result.faces.mixed).all()
    assert result.faces.fused == pytest.approx(np.eye(4)[result.faces.labels])
    assert result.faces.means is None


def test_faces_of_an_extra_set_before_and_after(tmp_path):
    extra = make_squares(seed=1)
    sets = Sets(make_squares(with_va=False), (extra,))
    result = kept(joint_experiment().with_changes({"train.epochs": 2, "joint.warm_up": 0.0}), sets, tmp_path)
    faces, labels = result.faces, result.labels
    rest = ~labels.extra_selected
    given = labels.extra_labels_given[rest]
    assert faces.extra_labels_given.tolist() == sorted(set(given.tolist()))
    first = [int(np.argmax(given == k)) for k in faces.extra_labels_given]
    for name in ("labels_given", "labels_new", "va_given", "va_new"):
        assert (getattr(faces, f"extra_{name}") == getattr(labels, f"extra_{name}")[rest][first]).all(), name
    train = (extra.splits == 0).nonzero().flatten()[torch.from_numpy(rest)][first]
    assert (faces.extra_pixels == extra.images[train].permute(0, 2, 3, 1).numpy()).all()
