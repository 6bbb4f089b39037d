"""Euclidean labels by hand, on centroids, at tiny and huge distances."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.gaussians import class_gaussians

NAN = torch.nan
CORNERS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)


def test_squared_by_hand():
    # From (0.5, 0): squared distances 1/4, 1/4, 17/4, so 4 : 4 : 4/17 = 17 : 17 : 1.
    labels = euclidean_labels(torch.tensor([[0.5, 0.0]], dtype=torch.float64), CORNERS)
    np.testing.assert_allclose(labels[0], np.array([17, 17, 1]) / 35, rtol=1e-14)


def test_unsquared_by_hand():
    # From (3, 4): distances 5, sqrt(20), sqrt(13).
    labels = euclidean_labels(torch.tensor([[3.0, 4.0]], dtype=torch.float64), CORNERS, squared=False)
    inverse = 1 / np.sqrt([25, 20, 13])
    np.testing.assert_allclose(labels[0], inverse / inverse.sum(), rtol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("squared", [True, False])
def test_agrees_with_equation_3_as_printed(squared, dtype):
    rng = np.random.default_rng(0)
    va, means = rng.uniform(-1, 1, (500, 2)), rng.uniform(-1, 1, (8, 2))
    mine = euclidean_labels(torch.tensor(va, dtype=dtype), torch.tensor(means, dtype=dtype), squared)
    assert mine.dtype == dtype
    assert mine.is_contiguous()
    distance = ((va[:, None] - means) ** 2).sum(2) ** (1.0 if squared else 0.5)
    wanted = distance.max(1, keepdims=True) / distance
    np.testing.assert_allclose(
        mine, wanted / wanted.sum(1, keepdims=True), atol=1e-12 if dtype == torch.float64 else 1e-4
    )


@pytest.mark.parametrize("squared", [True, False])
def test_a_point_on_a_centroid_gives_it_everything(squared):
    assert torch.equal(euclidean_labels(CORNERS, CORNERS, squared), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("squared", [True, False])
def test_equal_centroids_share_equally(squared):
    means = torch.tensor([[0.25, 0.5], [0.25, 0.5], [0.0, 0.0]])
    labels = euclidean_labels(torch.tensor([[0.25, 0.5], [0.75, 0.5]]), means, squared)
    assert labels[0].tolist() == [0.5, 0.5, 0.0]
    assert labels[1, 0] == labels[1, 1] > labels[1, 2] > 0


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-20, 1.0, 1e20, 1e90])
def test_the_unit_of_distance_does_not_matter(scale):
    va = torch.tensor([[0.3, 0.4], [0.0, 0.1]], dtype=torch.float64)
    for squared in (True, False):
        scaled = euclidean_labels(va * scale, CORNERS * scale, squared)
        torch.testing.assert_close(scaled, euclidean_labels(va, CORNERS, squared))


def test_absent_classes_get_exactly_nothing():
    means = torch.tensor([[0.0, 0.0], [NAN, NAN], [0.5, 0.5]])
    labels = euclidean_labels(torch.tensor([[0.1, 0.1], [0.5, 0.5]]), means)
    assert (labels[:, 1] == 0).all()
    torch.testing.assert_close(
        labels[:, [0, 2]], euclidean_labels(torch.tensor([[0.1, 0.1], [0.5, 0.5]]), means[[0, 2]])
    )


def test_missing_va_gives_nan_rows():
    va = torch.tensor([[0.1, NAN], [NAN, NAN], [0.2, 0.3]])
    labels = euclidean_labels(va, torch.tensor([[0.0, 0.0], [NAN, NAN], [0.5, 0.5]]))
    assert labels[:2].isnan().all()
    assert labels[2].isfinite().all()


def test_no_rows_in_no_rows_out():
    assert euclidean_labels(torch.empty(0, 2), torch.zeros(4, 2)).shape == (0, 4)


finite = st.floats(allow_nan=False, allow_infinity=False)
points = st.lists(st.tuples(finite, finite), min_size=1, max_size=12)


@given(points, points, st.booleans(), st.randoms())
@settings(deadline=None, max_examples=80)
def test_any_finite_points_give_distributions(va, means, squared, random):
    va_N2 = torch.tensor(va, dtype=torch.float64)
    means_K2 = torch.tensor(means, dtype=torch.float64).clamp(-1e90, 1e90)
    labels = euclidean_labels(va_N2, means_K2, squared)
    assert ((labels >= 0) & (labels <= 1)).all()
    torch.testing.assert_close(labels.sum(1), torch.ones(len(va), dtype=torch.float64))
    order = random.sample(range(len(means)), len(means))
    torch.testing.assert_close(euclidean_labels(va_N2, means_K2[order], squared), labels[:, order])


def test_means_are_plain_means_of_annotated_rows():
    va = torch.tensor([[0.2, 0.0], [0.4, 1.0], [NAN, 0.3], [-0.5, 0.5]])
    means = class_means(va, torch.tensor([0, 0, 0, 2]), 3)
    torch.testing.assert_close(means, torch.tensor([[0.3, 0.5], [NAN, NAN], [-0.5, 0.5]]), equal_nan=True)


def test_means_within_one_std_are_those_of_the_gaussians():
    rng = np.random.default_rng(1)
    va, labels = torch.tensor(rng.uniform(-1, 1, (400, 2))), torch.tensor(rng.integers(0, 4, 400))
    boxed = class_means(va, labels, 4, within_std=1.0)
    assert torch.equal(boxed, class_gaussians(va, labels, 4).means)
    assert not torch.equal(boxed, class_means(va, labels, 4))


@pytest.mark.parametrize(
    ("va", "means", "message"),
    [
        (torch.zeros(2, 2), torch.zeros(3, 3), r"means must have shape \(K, 2\), but got \(3, 3\)"),
        (
            torch.zeros(2, 2),
            torch.full((3, 2), NAN),
            "at least one class must have a mean, but got none of 3",
        ),
        (torch.zeros(2, 2), torch.full((1, 2), torch.inf), "means must be finite, or NaN"),
        (torch.zeros(2), torch.zeros(3, 2), r"va must have shape \(N, 2\), but got \(2,\)"),
    ],
)
def test_bad_input_is_refused(va, means, message):
    with pytest.raises(ValueError, match=message):
        euclidean_labels(va, means)
