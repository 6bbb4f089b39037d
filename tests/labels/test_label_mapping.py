"""Label mapping against scipy and numpy, its algebra as properties, and sets without a covariance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import cholesky, solve_triangular

from raysweep.labels.mapping import (
    MIN_CLASS_SAMPLES,
    RIDGE,
    GaussianStats,
    class_stats,
    gaussian_stats,
    map_va,
    map_va_by_class,
)

NAN = torch.nan
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
ATOL = {torch.float32: 1e-6, torch.float64: 1e-12}


def cloud(seed: int, count: int, least_std: float = 0.05) -> torch.Tensor:
    """A tilted, shifted cloud whose covariance is far from singular."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((2, 2))).Q
    shape = turn * rng.uniform(least_std, 0.5, (2, 1))
    return torch.tensor(rng.uniform(-0.6, 0.6, 2) + rng.standard_normal((count, 2)) @ shape)


def classes_of(seed: int, counts: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """One cloud a class, rows shuffled."""
    va = torch.cat([cloud(1000 * seed + k, count) for k, count in enumerate(counts)])
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    order = torch.tensor(np.random.default_rng(seed).permutation(len(va)))
    return va[order], labels[order]


def equation_1(va: np.ndarray, source: np.ndarray, target: np.ndarray, ddof: int = 1) -> np.ndarray:
    """Algorithm 1 as printed, from the points of B (source) and A (target)."""
    p, q = (cholesky(np.cov(points.T, ddof=ddof), lower=True) for points in (target, source))
    return (p @ solve_triangular(q, (va - source.mean(0)).T, lower=True)).T + target.mean(0)


def stats_of(mean: list[float], covariance: list[list[float]]) -> GaussianStats:
    mean_2, covariance_22 = (torch.tensor(part, dtype=torch.float64) for part in (mean, covariance))
    return GaussianStats(mean_2, covariance_22, count=100)


seeds = st.integers(0, 2**32 - 1)
counts = st.integers(10, 60)
properties = settings(deadline=None, max_examples=80)


@DTYPES
@pytest.mark.parametrize("ddof", [0, 1])
def test_stats_are_those_of_numpy(ddof, dtype):
    va = cloud(0, 500).to(dtype)
    stats = gaussian_stats(va, ddof)
    assert stats.count == 500
    assert not stats.is_singular
    assert stats.mean_2.dtype == stats.covariance_22.dtype == torch.float64
    np.testing.assert_allclose(stats.mean_2, va.double().numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.covariance_22, np.cov(va.double().numpy().T, ddof=ddof), rtol=1e-12)


def test_the_default_divides_by_n_minus_1():
    stats = gaussian_stats(torch.tensor([[0.0, 0.0], [1.0, 0.5]]))
    assert stats.covariance_22.tolist() == [[0.5, 0.25], [0.25, 0.125]]


def test_class_stats_are_those_of_each_class():
    va, labels = classes_of(1, [40, MIN_CLASS_SAMPLES - 1, 0, MIN_CLASS_SAMPLES])
    stats = class_stats(va, labels, 4)
    assert [s and s.count for s in stats] == [40, None, None, MIN_CLASS_SAMPLES]
    for ddof in (0, 1):
        for k in (0, 3):
            mine, alone = class_stats(va, labels, 4, ddof)[k], gaussian_stats(va[labels == k], ddof)
            torch.testing.assert_close(mine.mean_2, alone.mean_2)
            torch.testing.assert_close(mine.covariance_22, alone.covariance_22, rtol=1e-12, atol=1e-15)


def test_least_counts_annotated_rows():
    va, labels = classes_of(2, [5, 5])
    va[torch.nonzero(labels == 1).flatten()[:2], 1] = NAN
    assert [s and s.count for s in class_stats(va, labels, 2, least=3)] == [5, 3]
    assert [s and s.count for s in class_stats(va, labels, 2, least=4)] == [5, None]


def test_missing_rows_do_not_enter_the_stats():
    va = cloud(3, 50)
    holes = torch.cat((va, torch.tensor([[NAN, 0.9], [0.9, NAN], [NAN, NAN]]).double()))
    mine, wanted = gaussian_stats(holes), gaussian_stats(va)
    assert mine.count == 50
    assert torch.equal(mine.mean_2, wanted.mean_2)
    assert torch.equal(mine.covariance_22, wanted.covariance_22)


@DTYPES
@pytest.mark.parametrize("ddof", [0, 1])
def test_the_map_agrees_with_scipy(ddof, dtype):
    source, target, va = (cloud(seed, count).to(dtype) for seed, count in ((4, 300), (5, 200), (6, 100)))
    mapped = map_va(va, gaussian_stats(source, ddof), gaussian_stats(target, ddof))
    assert mapped.dtype == dtype
    wanted = equation_1(*(points.double().numpy() for points in (va, source, target)), ddof)
    np.testing.assert_allclose(mapped, wanted, atol=ATOL[dtype])


def test_the_factors_are_the_lower_ones():
    # Sigma_A = [[4, 2], [2, 2]] = P P^T with P = [[2, 0], [1, 1]]; the symmetric root or the upper
    # factor would send (1, 0) elsewhere.
    unit = stats_of([0, 0], [[1, 0], [0, 1]])
    target = stats_of([10, 20], [[4, 2], [2, 2]])
    points = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert map_va(points, unit, target).tolist() == [[12, 21], [10, 21]]
    # Backwards Q^-1 = [[1/2, 0], [-1/2, 1]].
    assert map_va(points + torch.tensor([10.0, 20.0]), target, unit).tolist() == [[0.5, -0.5], [0, 1]]


@given(seeds, counts, counts, st.sampled_from([0, 1]))
@properties
def test_all_of_b_gets_exactly_the_mean_and_covariance_of_a(seed, count_b, count_a, ddof):
    va_b, va_a = cloud(seed, count_b), cloud(seed + 1, count_a)
    source, target = gaussian_stats(va_b, ddof), gaussian_stats(va_a, ddof)
    mapped = gaussian_stats(map_va(va_b, source, target), ddof)
    torch.testing.assert_close(mapped.mean_2, target.mean_2, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(mapped.covariance_22, target.covariance_22, rtol=1e-9, atol=1e-12)


unit_square = st.floats(-1, 1)
some_points = st.lists(st.tuples(unit_square, unit_square), min_size=2, max_size=12)


@given(some_points, some_points, seeds)
@properties
def test_any_two_sets_map_there_and_back(points_b, points_a, seed):
    # Lists of few, often equal or collinear points: the ridge must serve both directions alike.
    source, target = (gaussian_stats(torch.tensor(points).double()) for points in (points_b, points_a))
    va = cloud(seed, 20)
    there = map_va(va, source, target)
    assert there.isfinite().all()
    torch.testing.assert_close(map_va(there, target, source), va, rtol=0, atol=1e-7)
    torch.testing.assert_close(map_va(va, source, source), va, rtol=0, atol=1e-12)


@given(seeds, st.floats(0.5, 3), st.floats(-1, 1), st.floats(0.5, 3), st.floats(-1, 1), st.floats(-1, 1))
@properties
def test_affine_equivariance(seed, scale_v, shear, scale_a, shift_v, shift_a):
    """Cholesky factors of L Sigma L^T are L times those of Sigma for lower triangular L."""
    lower = torch.tensor([[scale_v, 0], [shear, scale_a]], dtype=torch.float64)
    shift = torch.tensor([shift_v, shift_a], dtype=torch.float64)
    va_b, va_a, va = cloud(seed, 40), cloud(seed + 1, 30), cloud(seed + 2, 20)
    source, target = gaussian_stats(va_b), gaussian_stats(va_a)
    mapped = map_va(va, source, target)
    moved_target = gaussian_stats(va_a @ lower.T + shift)
    torch.testing.assert_close(map_va(va, source, moved_target), mapped @ lower.T + shift, rtol=1e-8, atol=1e-8)
    moved_source = gaussian_stats(va_b @ lower.T + shift)
    torch.testing.assert_close(map_va(va @ lower.T + shift, moved_source, target), mapped, rtol=1e-8, atol=1e-8)


@given(seeds, st.integers(1, 40), st.integers(0, 39))
@properties
def test_a_row_does_not_depend_on_its_neighbours(seed, count, row):
    va, source, target = cloud(seed, 40), gaussian_stats(cloud(seed + 1, 20)), gaussian_stats(cloud(seed + 2, 20))
    alone = map_va(va[row : row + 1], source, target)
    assert torch.equal(map_va(va, source, target)[row], alone[0])
    assert torch.equal(map_va(va[:count], source, target), map_va(va, source, target)[:count])


def test_missing_rows_stay_missing_and_disturb_nobody():
    source, target = gaussian_stats(cloud(7, 50)), gaussian_stats(cloud(8, 50))
    va = cloud(9, 5)
    holes = torch.cat((torch.tensor([[NAN, 0.2], [0.2, NAN], [NAN, NAN]]).double(), va))
    for clip in (False, True):
        mapped = map_va(holes, source, target, clip)
        assert mapped[:3].isnan().all()
        assert torch.equal(mapped[3:], map_va(va, source, target, clip))


def test_clip_clamps_and_is_off_unless_asked_for():
    narrow = stats_of([0, 0], [[0.01, 0], [0, 0.01]])
    wide = stats_of([0, 0.5], [[0.25, 0], [0, 0.25]])
    va = torch.tensor([[0.1, 0.1], [0.3, -0.4], [-0.3, 0.0]])
    torch.testing.assert_close(map_va(va, narrow, wide), torch.tensor([[0.5, 1.0], [1.5, -1.5], [-1.5, 0.5]]))
    clipped = map_va(va, narrow, wide, clip=True)
    torch.testing.assert_close(clipped, torch.tensor([[0.5, 1.0], [1.0, -1.0], [-1.0, 0.5]]))


def test_no_rows_in_no_rows_out():
    stats = gaussian_stats(cloud(0, 10))
    assert map_va(torch.empty(0, 2), stats, stats).shape == (0, 2)
    mapped, fallback = map_va_by_class(torch.empty(0, 2), torch.empty(0).long(), [None], [stats], stats, stats)
    assert (mapped.shape, fallback) == ((0, 2), ())


@pytest.mark.parametrize(
    "points",
    [
        torch.full((20, 2), 0.3),
        torch.stack((torch.linspace(-1, 1, 20), torch.full((20,), 0.1)), 1),
        torch.linspace(-1, 1, 20)[:, None].expand(20, 2),
        torch.tensor([[0.5, 0.5], [-0.5, -0.2]]),
    ],
    ids=["constant", "one axis", "diagonal", "two points"],
)
def test_a_set_without_a_covariance_still_maps(points):
    flat, round_ = gaussian_stats(points), gaussian_stats(cloud(10, 50))
    assert flat.is_singular
    assert not round_.is_singular
    mapped = map_va(points, flat, round_)
    assert mapped.isfinite().all()
    torch.testing.assert_close(mapped.mean(0).double(), round_.mean_2, rtol=0, atol=1e-6)
    onto = map_va(cloud(10, 50), round_, flat)
    ridged = flat.covariance_22 + RIDGE * torch.eye(2)
    torch.testing.assert_close(gaussian_stats(onto).covariance_22, ridged, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize(("smallest", "added"), [(0.99 * RIDGE, RIDGE), (1.01 * RIDGE, 0.0)])
def test_the_ridge_starts_at_its_own_size(smallest, added, role):
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((2, 2))).Q
    covariance = turn @ np.diag([0.04, smallest]) @ turn.T
    thin, unit = stats_of([0, 0], covariance.tolist()), stats_of([0, 0], [[1, 0], [0, 1]])
    assert thin.is_singular == (added > 0)
    factor = cholesky(covariance + added * np.eye(2), lower=True)
    points = torch.eye(2, dtype=torch.float64)
    if role == "target":
        np.testing.assert_allclose(map_va(points, unit, thin), factor.T, rtol=1e-9)
    else:
        np.testing.assert_allclose(map_va(points, thin, unit), np.linalg.inv(factor).T, rtol=1e-9, atol=1e-9)


@DTYPES
def test_by_class_is_the_map_of_each_class(dtype):
    va_b, labels_b = classes_of(11, [60, 50, 40])
    va_a, labels_a = classes_of(12, [30, 45, 55])
    va_b = va_b.to(dtype)
    sources, targets = class_stats(va_b, labels_b, 3), class_stats(va_a, labels_a, 3)
    overall = gaussian_stats(va_b), gaussian_stats(va_a)
    remainder = torch.arange(len(va_b)) % 3 > 0
    va, labels = va_b[remainder], labels_b[remainder]
    for clip in (False, True):
        mapped, fallback = map_va_by_class(va, labels, sources, targets, *overall, clip)
        assert (mapped.dtype, fallback) == (dtype, ())
        for k in range(3):
            assert torch.equal(mapped[labels == k], map_va(va[labels == k], sources[k], targets[k], clip))
    mapped, _ = map_va_by_class(va, labels, sources, targets, *overall)
    for k in range(3):
        wanted = equation_1(*(x.double().numpy() for x in (va[labels == k], va_b[labels_b == k], va_a[labels_a == k])))
        np.testing.assert_allclose(mapped[labels == k], wanted, atol=ATOL[dtype])


def test_all_of_b_gets_the_class_statistics_of_a():
    va_b, labels_b = classes_of(13, [60, 50, 40])
    va_a, labels_a = classes_of(14, [30, 45, 55])
    targets = class_stats(va_a, labels_a, 3)
    overall = gaussian_stats(va_b), gaussian_stats(va_a)
    mapped, _ = map_va_by_class(va_b, labels_b, class_stats(va_b, labels_b, 3), targets, *overall)
    for mine, wanted in zip(class_stats(mapped, labels_b, 3), targets, strict=True):
        torch.testing.assert_close(mine.mean_2, wanted.mean_2, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(mine.covariance_22, wanted.covariance_22, rtol=1e-9, atol=1e-12)


def test_classes_without_statistics_take_the_global_map():
    va_b, labels_b = classes_of(15, [40, 3, 40, 40, 0])  # 1 too small in B, 4 absent from B
    va_a, labels_a = classes_of(16, [40, 40, 3, 40, 3])  # 2 and 4 too small in A
    sources, targets = class_stats(va_b, labels_b, 5), class_stats(va_a, labels_a, 5)
    overall = gaussian_stats(va_b), gaussian_stats(va_a)
    va_b[torch.nonzero(labels_b == 1).flatten()] = NAN  # a class of missing rows still occurs
    mapped, fallback = map_va_by_class(va_b, labels_b, sources, targets, *overall)
    assert fallback == (1, 2)
    everywhere = map_va(va_b, *overall)
    for k in (0, 3):
        assert torch.equal(mapped[labels_b == k], map_va(va_b[labels_b == k], sources[k], targets[k]))
        assert not torch.equal(mapped[labels_b == k], everywhere[labels_b == k])
    assert torch.equal(mapped[labels_b == 2], everywhere[labels_b == 2])
    assert mapped[labels_b == 1].isnan().all()


def test_inputs_are_left_alone():
    va, labels = classes_of(17, [20, 20])
    before = va.clone()
    stats, overall = class_stats(va, labels, 2), gaussian_stats(va)
    map_va_by_class(va, labels, stats, stats, overall, overall, clip=True)
    assert torch.equal(va, before)


FINE = stats_of([0, 0], [[1, 0], [0, 1]])
TWO = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian_stats(TWO[:1]), "ddof=1 needs at least 2 annotated rows of va, but got 1 of 1"),
        (lambda: gaussian_stats(TWO * NAN, 0), "ddof=0 needs at least 1 annotated rows of va, but got 0 of 2"),
        (lambda: gaussian_stats(TWO, -1), "`ddof >= 0` must hold, but got -1"),
        (lambda: gaussian_stats(torch.zeros(2, 3)), r"va must have shape \(N, 2\), but got \(2, 3\)"),
        (
            lambda: gaussian_stats(torch.tensor([[1e200, 0], [-1e200, 0]], dtype=torch.float64)),
            "covariance_22 must be finite",
        ),
        (lambda: class_stats(TWO, torch.tensor([0, 0]), 1, least=1), "`least > ddof` must hold, but got least=1"),
        (lambda: class_stats(TWO, torch.tensor([0, -1]), 1), "`0 <= label < 1` must hold, but row 1 has -1"),
        (lambda: map_va(torch.full((1, 2), torch.inf), FINE, FINE), "va must be finite"),
        (lambda: map_va(TWO, FINE, stats_of([0, 0], [[1, 0], [0, -1]])), "no negative eigenvalue, but got"),
        (
            lambda: map_va_by_class(TWO, torch.tensor([0, -1]), [FINE], [FINE], FINE, FINE),
            "`0 <= label < 1` must hold, but row 1 has -1",
        ),
        (
            lambda: map_va_by_class(TWO, torch.tensor([0, 0]), [FINE], [FINE, None], FINE, FINE),
            "one entry per class each, but got 1 and 2",
        ),
        (
            lambda: map_va_by_class(TWO, torch.tensor([0]), [FINE], [FINE], FINE, FINE),
            "must have the same number of rows",
        ),
        (lambda: GaussianStats(TWO[0].double(), TWO, 2), "covariance_22 must be float64, but got torch.float32"),
        (lambda: GaussianStats(TWO.double(), TWO.double(), 2), r"mean_2 must have shape \(2,\)"),
        (lambda: stats_of([NAN, 0], [[1, 0], [0, 1]]), "mean_2 must be finite"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
