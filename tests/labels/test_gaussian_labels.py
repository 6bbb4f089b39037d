"""Gaussian labels against scipy, scikit-learn and the authors' recipe written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from raysweep.labels.gaussians import VARIANCE_FLOOR, ClassGaussians, class_gaussians, gaussian_labels

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-10}


def faces(seed: int, count: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlated clouds, one a class, every class present."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, count - num_classes)])
    centres = rng.uniform(-0.7, 0.7, (num_classes, 2))
    turn = np.linalg.qr(rng.standard_normal((num_classes, 2, 2))).Q
    shapes = turn * rng.uniform(0.1, 0.4, (num_classes, 1, 2))
    va = centres[labels] + np.einsum("nij,nj->ni", shapes[labels], rng.standard_normal((count, 2)))
    return va, labels


def authors_gaussians(va: np.ndarray, labels: np.ndarray, num_classes: int, within_std: float | None):
    """Class by class, as `learn_params` of the authors does."""
    priors, means, covariances = [], [], []
    for k in range(num_classes):
        mine = va[labels == k]
        kept = np.ones(len(mine), bool)
        if within_std is not None:
            kept = (np.abs(mine - mine.mean(0)) < within_std * mine.std(0)).all(1)
        priors.append(len(mine) / len(va))
        means.append(mine[kept].mean(0))
        covariances.append(np.cov(mine[kept].T, bias=True))
    return np.array(priors), np.array(means), np.array(covariances)


def scipy_posterior(va: np.ndarray, priors, means, covariances) -> np.ndarray:
    pairs = zip(priors, means, covariances, strict=True)
    joint = np.stack([prior * multivariate_normal(mean, cov).pdf(va) for prior, mean, cov in pairs], 1)
    return joint / joint.sum(1, keepdims=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("within_std", [1.0, 2.0, None])
@pytest.mark.parametrize("num_classes", [2, 8])
def test_agrees_with_the_authors_recipe_and_scipy(num_classes, within_std, dtype):
    va, labels = faces(seed=num_classes, count=3000, num_classes=num_classes)
    tensor = torch.tensor(va, dtype=dtype)
    fitted = class_gaussians(tensor, torch.tensor(labels), num_classes, within_std)
    wanted = authors_gaussians(tensor.double().numpy(), labels, num_classes, within_std)
    for mine, reference in zip(fitted, wanted, strict=True):
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine.double().numpy(), reference, atol=TOLERANCE[dtype] / 100)
    posterior = gaussian_labels(tensor, fitted)
    assert posterior.dtype == dtype
    assert posterior.is_contiguous()
    exact = scipy_posterior(tensor.double().numpy(), *(part.double().numpy() for part in fitted))
    np.testing.assert_allclose(posterior.double().numpy(), exact, atol=TOLERANCE[dtype] / 100)


def test_agrees_with_quadratic_discriminant_analysis():
    va, labels = faces(seed=5, count=4000, num_classes=6)
    fitted = class_gaussians(torch.tensor(va), torch.tensor(labels), 6, within_std=None)
    reference = QuadraticDiscriminantAnalysis(store_covariance=True).fit(va, labels)
    np.testing.assert_allclose(fitted.priors, reference.priors_, atol=1e-12)
    np.testing.assert_allclose(fitted.means, reference.means_, atol=1e-12)
    covariances = np.stack(reference.covariance_)
    counts = np.bincount(labels)[:, None, None]
    ratio = covariances / fitted.covariances.numpy()  # scikit-learn divided by N - 1 up to 1.7, now by N
    assert np.allclose(ratio, 1, atol=1e-9) or np.allclose(ratio, counts / (counts - 1), atol=1e-9)
    posterior = gaussian_labels(torch.tensor(va), fitted._replace(covariances=torch.tensor(covariances)))
    np.testing.assert_allclose(posterior, reference.predict_proba(va), atol=1e-9)


def test_the_box_is_strict_and_by_axis():
    # v has mean 0 and population variance (2 * 1 + 2 * 4) / 10 = 1: +-1 is on the edge, so out.
    # The last point is inside in v and far out in a. Five points at v = 0 remain.
    v = torch.tensor([-1.0, 1.0, -2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    a = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.1, 0.3, 0.1, 0.3, 0.2, 9.0], dtype=torch.float64)
    fitted = class_gaussians(torch.stack((v, a), 1), torch.zeros(10, dtype=torch.int64), 1)
    torch.testing.assert_close(fitted.means, torch.tensor([[0.0, 0.2]], dtype=torch.float64))
    assert fitted.covariances[0, 1, 1].item() == pytest.approx(0.008 + VARIANCE_FLOOR)


def test_prior_counts_the_points_outside_the_box_too():
    va, labels = faces(seed=1, count=500, num_classes=3)
    fitted = class_gaussians(torch.tensor(va), torch.tensor(labels), 3, within_std=0.5)
    np.testing.assert_allclose(fitted.priors, np.bincount(labels) / 500)


def test_rows_without_va_count_nowhere_and_stay_nan():
    va, labels = faces(seed=2, count=300, num_classes=4)
    clean = class_gaussians(torch.tensor(va), torch.tensor(labels), 4)
    gaps = np.concatenate([va, [[np.nan, 0.1], [0.2, np.nan], [np.nan, np.nan]]])
    more = np.concatenate([labels, [0, 1, 1]])
    gappy = class_gaussians(torch.tensor(gaps), torch.tensor(more), 4)
    for mine, reference in zip(gappy, clean, strict=True):
        torch.testing.assert_close(mine, reference)
    posterior = gaussian_labels(torch.tensor(gaps), gappy)
    assert posterior[-3:].isnan().all()
    assert posterior[:-3].isfinite().all()


def test_an_absent_class_is_finite_and_gets_exactly_nothing():
    va, labels = faces(seed=3, count=300, num_classes=4)
    labels[labels == 2] = 1
    fitted = class_gaussians(torch.tensor(va), torch.tensor(labels), 5)
    assert all(part.isfinite().all() for part in fitted)
    assert fitted.priors[[2, 4]].tolist() == [0, 0]
    posterior = gaussian_labels(torch.tensor(va), fitted)
    assert (posterior[:, [2, 4]] == 0).all()
    torch.testing.assert_close(posterior.sum(1), torch.ones(300, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "points",
    [
        [[0.3, 0.4]],  # one sample
        [[0.3, 0.4], [0.5, 0.1]],  # two: the box keeps neither
        [[0.3, 0.4]] * 5,  # no spread at all
        [[0.1, 0.2], [0.2, 0.2], [0.4, 0.2], [0.8, 0.2]],  # constant arousal
        [[0.1, 0.1], [0.2, 0.2], [0.4, 0.4], [0.8, 0.8]],  # a line
        [[-0.9, -0.9]] * 3 + [[0.9, 0.9]] * 3,  # two clusters: the box is empty
    ],
)
def test_degenerate_classes_stay_finite_with_the_stated_floor(points, dtype):
    cloud, _ = faces(seed=4, count=100, num_classes=2)
    va = torch.tensor(np.concatenate([points, cloud]), dtype=dtype)
    labels = torch.tensor([0] * len(points) + [1] * len(cloud))
    fitted = class_gaussians(va, labels, 2)
    smallest = torch.linalg.eigvalsh(fitted.covariances[0].double())[0].item()
    assert smallest >= VARIANCE_FLOOR * (0.9 if dtype == torch.float32 else 1 - 1e-9)
    posterior = gaussian_labels(va, fitted)
    assert posterior.isfinite().all()
    torch.testing.assert_close(posterior.sum(1), torch.ones(len(va), dtype=dtype))


def test_an_empty_box_falls_back_to_all_points():
    va = torch.tensor([[0.3, 0.4], [0.5, 0.1], [-0.2, 0.0]], dtype=torch.float64)
    fitted = class_gaussians(va, torch.tensor([0, 0, 1]), 2)
    torch.testing.assert_close(fitted.means, torch.stack((va[:2].mean(0), va[2])))
    single = VARIANCE_FLOOR * torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(fitted.covariances[1], single)


@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, max_examples=40)
def test_rows_sum_to_one_and_classes_may_be_renamed(seed, num_classes, dtype):
    va, labels = faces(seed, count=num_classes + 40, num_classes=num_classes)
    tensor = torch.tensor(va, dtype=dtype)
    posterior = gaussian_labels(tensor, class_gaussians(tensor, torch.tensor(labels), num_classes))
    assert (posterior >= 0).all()
    torch.testing.assert_close(posterior.sum(1), torch.ones(len(va), dtype=dtype))
    new_name = np.random.default_rng(seed).permutation(num_classes)
    renamed = gaussian_labels(tensor, class_gaussians(tensor, torch.tensor(new_name[labels]), num_classes))
    torch.testing.assert_close(renamed[:, new_name], posterior)


@given(
    st.lists(st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2), min_size=1, max_size=20),
    st.integers(0, 100),
)
@settings(deadline=None, max_examples=60)
def test_far_away_points_get_finite_rows(points, seed):
    cloud, labels = faces(seed, count=60, num_classes=5)
    fitted = class_gaussians(torch.tensor(cloud), torch.tensor(labels), 5)
    posterior = gaussian_labels(torch.tensor(points, dtype=torch.float64), fitted)
    assert posterior.isfinite().all()
    torch.testing.assert_close(posterior.sum(1), torch.ones(len(points), dtype=torch.float64))


def test_far_away_float32_points_too():
    cloud, labels = faces(seed=6, count=60, num_classes=5)
    fitted = class_gaussians(torch.tensor(cloud, dtype=torch.float32), torch.tensor(labels), 5)
    posterior = gaussian_labels(torch.tensor([[3e38, -3e38], [1e20, 0.0], [-2.0, -2.0]]), fitted)
    torch.testing.assert_close(posterior.sum(1), torch.ones(3))


def test_no_rows_in_no_rows_out():
    cloud, labels = faces(seed=6, count=60, num_classes=5)
    fitted = class_gaussians(torch.tensor(cloud), torch.tensor(labels), 5)
    assert gaussian_labels(torch.empty(0, 2), fitted).shape == (0, 5)


def test_inputs_are_left_alone():
    cloud, labels = faces(seed=7, count=60, num_classes=5)
    va = torch.tensor(cloud)
    fitted = class_gaussians(va, torch.tensor(labels), 5)
    before = [part.clone() for part in fitted]
    gaussian_labels(va, fitted)
    assert torch.equal(va, torch.tensor(cloud))
    assert all(torch.equal(mine, old) for mine, old in zip(fitted, before, strict=True))


GOOD_VA, GOOD_LABELS = torch.zeros(3, 2), torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("va", "labels", "num_classes", "within_std", "message"),
    [
        (torch.zeros(3, 3), GOOD_LABELS, 2, 1.0, r"shape \(N, 2\), but got \(3, 3\)"),
        (
            torch.zeros(3, 2, dtype=torch.int64),
            GOOD_LABELS,
            2,
            1.0,
            "float32 or float64, but got torch.int64",
        ),
        (torch.full((3, 2), torch.inf), GOOD_LABELS, 2, 1.0, r"row 0 is \[inf, inf\]"),
        (torch.zeros(4, 2), GOOD_LABELS, 2, 1.0, r"got shapes \(4, 2\) and \(3,\)"),
        (GOOD_VA, torch.tensor([0, 7, -1]), 2, 1.0, r"`0 <= label < 2` must hold, but row 1 has 7 \(2 such"),
        (GOOD_VA, torch.tensor([0.0, 1.0, 1.0]), 2, 1.0, "labels must be int64, but got torch.float32"),
        (GOOD_VA, GOOD_LABELS[:, None], 2, 1.0, r"labels must have shape \(N,\), but got \(3, 1\)"),
        (GOOD_VA, GOOD_LABELS, 0, 1.0, "`num_classes >= 1` must hold, but got 0"),
        (GOOD_VA, GOOD_LABELS, 2, 0.0, "`within_std > 0` must hold, but got 0.0"),
        (
            GOOD_VA * torch.nan,
            GOOD_LABELS,
            2,
            1.0,
            "at least one row of va must be annotated, but got 0 of 3",
        ),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), 2, 1.0, "got 0 of 0"),
    ],
)
def test_bad_points_are_refused(va, labels, num_classes, within_std, message):
    with pytest.raises(ValueError, match=message):
        class_gaussians(va, labels, num_classes, within_std)


def two_gaussians(priors=(0.5, 0.5), mean=0.0, covariance=((1.0, 0.0), (0.0, 1.0))) -> ClassGaussians:
    covariances = torch.stack((torch.eye(2), torch.tensor(covariance)))
    return ClassGaussians(torch.tensor(priors), torch.full((2, 2), mean), covariances)


@pytest.mark.parametrize(
    ("gaussians", "message"),
    [
        (two_gaussians(priors=(0.0, 0.0)), "priors must be >= 0 with a positive sum"),
        (two_gaussians(priors=(1.5, -0.5)), r"but got \[1.5, -0.5\]"),
        (two_gaussians(mean=torch.nan), "means must be finite"),
        (two_gaussians(covariance=((1.0, 1.0), (1.0, 1.0))), "that of class 1 is"),
        (two_gaussians(covariance=((-1.0, 0.0), (0.0, 1.0))), "positive definite"),
        (two_gaussians()._replace(means=torch.zeros(3, 2)), r"means must have shape \(2, 2\).*\(3, 2\)"),
        (two_gaussians()._replace(covariances=torch.eye(2)), r"covariances must have shape \(2, 2, 2\)"),
    ],
)
def test_bad_gaussians_are_refused(gaussians, message):
    with pytest.raises(ValueError, match=message):
        gaussian_labels(GOOD_VA, gaussians)
