"""Sanity on real annotations, where the shared label files lie beside the repository."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from raysweep.data.expressions import EXPRESSIONS
from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.gaussians import class_gaussians, gaussian_labels
from raysweep.labels.noise import flip_labels_by_confusion, human_confusion

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def read(name: str) -> list[dict[str, str]]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def rafdb() -> tuple[torch.Tensor, torch.Tensor]:
    rows = read("rafdb_pseudo_va.csv")
    va = torch.tensor([[float(row["valence"]), float(row["arousal"])] for row in rows])
    return va, torch.tensor([EXPRESSIONS.index(row["expression"]) for row in rows])


@pytest.mark.parametrize("within_std", [1.0, None])
def test_gaussian_labels_agree_with_scipy(rafdb, within_std):
    va, labels = rafdb[0].double(), rafdb[1]
    fitted = class_gaussians(va, labels, 8, within_std)
    present = fitted.priors > 0
    assert present.tolist() == [True] * 7 + [False]  # RAF-DB has no contempt
    joint = np.stack(
        [
            np.log(prior) + multivariate_normal(mean, covariance).logpdf(va)
            for prior, mean, covariance in zip(*(part[present].numpy() for part in fitted), strict=True)
        ],
        axis=1,
    )
    wanted = np.exp(joint - joint.max(1, keepdims=True))
    wanted /= wanted.sum(1, keepdims=True)
    mine = gaussian_labels(va, fitted)
    np.testing.assert_allclose(mine[:, present], wanted, atol=1e-9)
    assert (mine[:, ~present] == 0).all()
    torch.testing.assert_close(gaussian_labels(va.float(), fitted).double(), mine, atol=1e-6, rtol=0)


def test_class_means_are_the_known_ones(rafdb):
    means = class_means(*rafdb, 8)
    known = {
        "surprise": (0.09, 0.57),
        "fear": (-0.18, 0.52),
        "happiness": (0.57, 0.09),
        "neutral": (-0.06, 0.0),
    }
    for name, mean in known.items():
        np.testing.assert_allclose(means[EXPRESSIONS.index(name)], mean, atol=0.006)
    assert means[7].isnan().all()


def test_the_nearest_mean_returns_the_official_label_as_often_as_known(rafdb):
    va, labels = rafdb
    for squared in (True, False):
        nearest = euclidean_labels(va, class_means(va, labels, 8), squared).argmax(1)
        assert (nearest == labels).double().mean().item() == pytest.approx(0.821, abs=0.001)


def test_people_confuse_fear_with_surprise():
    rows = read("ferplus_votes.csv")
    votes = torch.tensor([[float(row[name]) for name in EXPRESSIONS] for row in rows])
    confusion = human_confusion(votes)
    torch.testing.assert_close(confusion.sum(1), torch.ones(8))
    fear, surprise = EXPRESSIONS.index("fear"), EXPRESSIONS.index("surprise")
    others = confusion[fear].clone()
    others[fear] = 0
    assert others.argmax() == surprise
    labels = torch.full((2000,), fear)
    noisy, flipped = flip_labels_by_confusion(labels, 0.3, confusion, seed=0)
    assert int(flipped.sum()) == 600
    assert noisy[flipped].mode().values == surprise
