"""Relabelling by the nearest centre against scipy and scikit-learn, and on the authors' pseudo VA."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestCentroid

from raysweep.data.expressions import EXPRESSIONS
from raysweep.labels.mapping import class_stats, gaussian_stats, map_va_by_class
from raysweep.labels.relabel import class_centroids, relabel_by_centroid

NAN = torch.nan
CSV = Path(__file__).parents[2].parent / "shared" / "data" / "rafdb_pseudo_va.csv"
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])


def points(seed: int, count: int, num_classes: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.uniform(-1, 1, (count, 2))), torch.tensor(rng.integers(0, num_classes, count))


@DTYPES
def test_agrees_with_scipy(dtype):
    va, centroids = points(0, 2000)[0].to(dtype), points(1, 8)[0]
    mine = relabel_by_centroid(va, centroids)
    assert mine.dtype == torch.int64
    np.testing.assert_array_equal(mine, cdist(va.double(), centroids).argmin(1))


@DTYPES
def test_agrees_with_scikit_learn(dtype):
    va, labels = points(2, 3000)
    va = va.to(dtype)
    reference = NearestCentroid().fit(va.double().numpy(), labels.numpy())
    centroids = class_centroids(va, labels, 7)
    assert centroids.dtype == torch.float64
    np.testing.assert_allclose(centroids, reference.centroids_, atol=1e-12)
    np.testing.assert_array_equal(relabel_by_centroid(va, centroids), reference.predict(va.double().numpy()))


def test_centroids_are_plain_means_of_annotated_rows():
    va = torch.tensor([[0.25, 0.0], [0.5, 1.0], [NAN, 0.3], [-0.5, 0.5]])
    centroids = class_centroids(va, torch.tensor([0, 0, 0, 2]), 4)
    wanted = torch.tensor([[0.375, 0.5], [NAN, NAN], [-0.5, 0.5], [NAN, NAN]]).double()
    torch.testing.assert_close(centroids, wanted, equal_nan=True)


grid = st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2)), min_size=1, max_size=40)


@given(grid, grid, st.data())
@settings(deadline=None, max_examples=150)
def test_ties_go_to_the_lowest_class_that_has_a_centre(va, centroids, data):
    """On a grid of whole numbers distances are exact and ties are common."""
    va_N2, centroids_K2 = torch.tensor(va).float(), torch.tensor(centroids).float()
    absent = data.draw(st.sets(st.integers(0, len(centroids) - 1), max_size=len(centroids) - 1))
    wanted = []
    for v, a in va:
        near = {k: (v - c[0]) ** 2 + (a - c[1]) ** 2 for k, c in enumerate(centroids) if k not in absent}
        wanted.append(min(near, key=lambda k: (near[k], k)))
    centroids_K2[sorted(absent), data.draw(st.integers(0, 1))] = NAN
    assert relabel_by_centroid(va_N2, centroids_K2).tolist() == wanted


def test_ties_in_a_large_batch():
    centroids = torch.tensor([[NAN, NAN], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [1.0, 0.0]])
    assert (relabel_by_centroid(torch.zeros(100_003, 2), centroids) == 1).all()


def test_huge_points_never_choose_an_absent_class():
    va = torch.tensor([[1e300, 0.0], [-1e200, 1e308]], dtype=torch.float64)
    assert relabel_by_centroid(va, torch.tensor([[NAN, 0.0], [0.0, 0.0]])).tolist() == [1, 1]


def test_no_rows_in_no_rows_out():
    assert relabel_by_centroid(torch.empty(0, 2), torch.zeros(3, 2)).shape == (0,)


TWO = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("va", "centroids", "message"),
    [
        (
            torch.tensor([[0.0, 0.0], [NAN, 0.0], [0.0, NAN]]),
            TWO,
            "must be annotated to be relabelled, but 2 of 3 have a NaN, the first in row 1",
        ),
        (torch.full((1, 2), torch.inf), TWO, "va must be finite"),
        (torch.zeros(2), TWO, r"va must have shape \(N, 2\), but got \(2,\)"),
        (TWO, torch.zeros(3, 3), r"shape \(K, 2\), but got torch.float32 of shape \(3, 3\)"),
        (TWO, torch.zeros(3, 2).long(), r"floating-point tensor of shape \(K, 2\), but got torch.int64"),
        (TWO, TWO * NAN, "at least one class must have a centroid, but got none of 2"),
        (TWO, TWO + torch.inf, "centroids must be finite, or NaN"),
    ],
)
def test_bad_input_is_refused(va, centroids, message):
    with pytest.raises(ValueError, match=message):
        relabel_by_centroid(va, centroids)


@pytest.mark.parametrize(
    ("va", "labels", "message"),
    [
        (torch.zeros(2, 2).long(), torch.tensor([0, 0]), "va must be float32 or float64, but got torch.int64"),
        (TWO, torch.tensor([0, -1]), "row 1 has -1"),
        (TWO * NAN, torch.tensor([0, 0]), "at least one row of va must be annotated, but got 0 of 2"),
    ],
)
def test_centroids_refuse_bad_input(va, labels, message):
    with pytest.raises(ValueError, match=message):
        class_centroids(va, labels, 1)


@pytest.fixture(scope="module")
def rafdb() -> tuple[torch.Tensor, torch.Tensor]:
    if not CSV.exists():
        pytest.skip(f"{CSV.name} is not here")
    with CSV.open(newline="") as file:
        rows = list(csv.DictReader(file))
    va = torch.tensor([[float(row["valence"]), float(row["arousal"])] for row in rows])
    return va, torch.tensor([EXPRESSIONS.index(row["expression"]) for row in rows])


def test_class_centroids_of_rafdb_are_the_known_ones(rafdb):
    centroids = class_centroids(*rafdb, 8)
    known = {
        "surprise": (0.09, 0.57),
        "fear": (-0.18, 0.52),
        "disgust": (-0.35, 0.21),
        "happiness": (0.57, 0.09),
        "sadness": (-0.59, -0.19),
        "anger": (-0.38, 0.61),
        "neutral": (-0.06, 0.0),
    }
    for name, mean in known.items():
        np.testing.assert_allclose(centroids[EXPRESSIONS.index(name)], mean, atol=0.00501)
    assert centroids[EXPRESSIONS.index("contempt")].isnan().all()


def test_rafdb_keeps_the_known_share_of_its_labels(rafdb):
    va, labels = rafdb
    kept = (relabel_by_centroid(va, class_centroids(va, labels, 8)) == labels).double().mean()
    assert round(100 * float(kept), 2) == 82.07


def test_the_geometry_of_rafdb_decides_how_many_mapped_points_regain_their_class(rafdb):
    """A large Gaussian B, mapped class by class onto RAF-DB's pseudo VA and relabelled."""
    va_a, labels_a = rafdb
    each, present = 50_000, list(range(7))
    rng = np.random.default_rng(0)
    labels_b = torch.repeat_interleave(torch.arange(7), each)
    shapes = np.array([[0.3, 0.1], [-0.05, 0.2]])
    va_b = torch.tensor(np.linspace(-0.5, 0.5, 7)[labels_b, None] + rng.standard_normal((7 * each, 2)) @ shapes)
    sources, targets = class_stats(va_b, labels_b, 8), class_stats(va_a, labels_a, 8)
    overall = gaussian_stats(va_b), gaussian_stats(va_a)
    mapped, fallback = map_va_by_class(va_b, labels_b, sources, targets, *overall)
    assert fallback == ()
    regained = relabel_by_centroid(mapped, class_centroids(va_a, labels_a, 8)) == labels_b
    shares = {EXPRESSIONS[k]: float(regained[labels_b == k].double().mean()) for k in present}
    assert min(shares, key=shares.__getitem__) == "fear"
    assert max(shares, key=shares.__getitem__) == "neutral"
    assert shares["fear"] == pytest.approx(0.26, abs=0.01)
    assert shares["neutral"] == pytest.approx(0.94, abs=0.01)
