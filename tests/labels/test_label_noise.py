"""Label noise: exact shares, nesting, the right distribution; votes; noise on VA."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from raysweep.labels.noise import (
    NOISE_KINDS,
    flip_labels,
    flip_labels_by_confusion,
    flip_labels_with_replacement,
    human_confusion,
    perturb_va,
)

K = 8
RATES = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.77, 1.0]
CONFUSION = torch.tensor(np.random.default_rng(0).dirichlet(np.ones(K), K))
THIRD_ARGUMENT = {"uniform": K, "with_replacement": K, "confusion": CONFUSION}
LEAST_P = 1e-3
"""Seeds are fixed, so a chi-square test passes for ever or fails for ever."""


def labels_of(count: int, seed: int = 0, num_classes: int = K) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).integers(0, num_classes, count))


def flip(kind: str, labels: torch.Tensor, rate: float, seed: int = 0):
    return NOISE_KINDS[kind](labels, rate, THIRD_ARGUMENT[kind], seed)


@pytest.mark.parametrize("kind", ["uniform", "confusion"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 10, 99, 1000, 12_271])
def test_exactly_the_asked_share_to_another_class(kind, count):
    labels = labels_of(count)
    for rate in RATES:
        noisy, flipped = flip(kind, labels, rate)
        assert noisy.dtype == torch.int64
        assert flipped.dtype == torch.bool
        assert int(flipped.sum()) == round(rate * count)
        assert torch.equal(noisy != labels, flipped)
        assert ((noisy >= 0) & (noisy < K)).all()


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_is_nested_over_rates(kind):
    labels = labels_of(5000)
    weaker, weaker_flipped = flip(kind, labels, 0.0)
    assert torch.equal(weaker, labels)
    for rate in RATES[1:]:
        noisy, flipped = flip(kind, labels, rate)
        assert (flipped | ~weaker_flipped).all()
        assert torch.equal(noisy[weaker_flipped], weaker[weaker_flipped])
        weaker, weaker_flipped = noisy, flipped


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_same_seed_same_noise_other_seed_other_noise(kind):
    labels = labels_of(1000)
    before = labels.clone()
    noisy, flipped = flip(kind, labels, 0.3, seed=1)
    again, _ = flip(kind, labels, 0.3, seed=1)
    other, other_flipped = flip(kind, labels, 0.3, seed=2)
    assert torch.equal(noisy, again)
    assert torch.equal(labels, before)
    assert not torch.equal(flipped, other_flipped)
    assert not torch.equal(noisy, other)


GOLDEN = {
    "uniform": [6, 4, 4, 3, 2, 5, 5, 7, 0, 2, 2, 3],
    "with_replacement": [0, 1, 2, 3, 5, 2, 0, 7, 0, 1, 2, 1],
    "confusion": [3, 6, 3, 3, 0, 5, 5, 7, 0, 3, 2, 3],
}
"""Stored products were made with these draws: when they move, the stage's NUMERICS must be bumped."""


@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_the_draws_never_move(kind):
    third = torch.arange(64).reshape(K, K) % 5 if kind == "confusion" else K
    assert NOISE_KINDS[kind](torch.arange(12) % K, 0.5, third, 7)[0].tolist() == GOLDEN[kind]


def test_uniform_and_confused_noise_flip_the_same_rows():
    labels = labels_of(1000)
    assert torch.equal(flip("uniform", labels, 0.3)[1], flip("confusion", labels, 0.3)[1])


def test_new_classes_are_uniform_over_the_others():
    labels = labels_of(60_000)
    noisy, flipped = flip_labels(labels, 0.5, K, seed=4)
    counts = torch.bincount(labels[flipped] * K + noisy[flipped], minlength=K * K).reshape(K, K)
    assert (counts.diagonal() == 0).all()
    for k in range(K):
        assert chisquare(np.delete(counts[k].numpy(), k)).pvalue > LEAST_P


def test_flipped_rows_are_uniform_over_the_set():
    times = sum(flip_labels(labels_of(50), 0.2, K, seed)[1].long() for seed in range(1000))
    # Without replacement the counts vary less than Poisson: scale to the binomial's variance.
    statistic = ((times - 200.0) ** 2 / (200 * 0.8)).sum().item()
    assert abs(statistic - 49) < 4 * (2 * 49) ** 0.5


@pytest.mark.parametrize(("rate", "share"), [(0.1, 0.083), (0.2, 0.159), (0.3, 0.227)])
def test_the_authors_draw_flips_less_than_it_says(rate, share):
    labels = labels_of(100_000)
    noisy, flipped = flip_labels_with_replacement(labels, rate, K, seed=0)
    assert torch.equal(noisy != labels, flipped)
    assert flipped.double().mean().item() == pytest.approx((1 - np.exp(-rate)) * (K - 1) / K, abs=0.003)
    assert flipped.double().mean().item() == pytest.approx(share, abs=0.003)


def test_the_authors_draw_is_uniform_over_all_classes():
    noisy, _ = flip_labels_with_replacement(torch.zeros(50_000, dtype=torch.int64), 0.5, K, seed=3)
    assert chisquare(torch.bincount(noisy, minlength=K)[1:].numpy()).pvalue > LEAST_P
    assert flip_labels_with_replacement(torch.zeros(0, dtype=torch.int64), 0.5, K, 0)[0].shape == (0,)


def test_confused_labels_follow_the_off_diagonal():
    labels = labels_of(80_000)
    noisy, flipped = flip_labels_by_confusion(labels, 0.6, CONFUSION, seed=5)
    for k in range(K):
        mine = torch.bincount(noisy[flipped & (labels == k)], minlength=K).double().numpy()
        wanted = np.where(np.arange(K) == k, 0.0, CONFUSION[k].numpy())
        wanted = wanted / wanted.sum() * mine.sum()
        assert mine[k] == 0
        assert chisquare(np.delete(mine, k), np.delete(wanted, k)).pvalue > LEAST_P


def test_a_row_nobody_confuses_is_uniform_and_zeros_are_never_taken():
    confusion = torch.tensor([[5, 0, 0, 0], [0, 9, 0, 1], [3, 0, 1, 0], [0, 1, 1, 0]])
    labels = torch.arange(4).repeat_interleave(3000)
    noisy, _ = flip_labels_by_confusion(labels, 1.0, confusion, seed=1)
    by_class = noisy.reshape(4, 3000)
    assert chisquare(torch.bincount(by_class[0], minlength=4)[1:].numpy()).pvalue > LEAST_P
    assert by_class[1].unique().tolist() == [3]
    assert by_class[2].unique().tolist() == [0]
    assert by_class[3].unique().tolist() == [1, 2]


@given(st.integers(0, 200), st.integers(2, 12), st.floats(0, 1), st.integers(-(2**40), 2**40))
@settings(deadline=None, max_examples=60)
def test_share_and_range_hold_for_any_input(count, num_classes, rate, seed):
    labels = labels_of(count, num_classes=num_classes)
    noisy, flipped = flip_labels(labels, rate, num_classes, seed)
    assert int(flipped.sum()) == round(rate * count)
    assert torch.equal(noisy != labels, flipped)
    drawn, changed = flip_labels_with_replacement(labels, rate, num_classes, seed)
    assert int(changed.sum()) <= round(rate * count)
    assert all(((new >= 0) & (new < num_classes)).all() for new in (noisy, drawn))


def test_human_confusion_by_hand():
    votes = torch.tensor([[8.0, 2, 0], [6, 0, 4], [0, 0, 0], [torch.nan] * 3, [5, 5, 0]])
    confusion = human_confusion(votes)
    # Class 0: two whole images and half of the tied one; class 1: the other half; class 2: nobody.
    first = (torch.tensor([0.8, 0.2, 0.0]) + torch.tensor([0.6, 0.0, 0.4]) + torch.tensor([0.25, 0.25, 0])) / 2.5
    torch.testing.assert_close(confusion, torch.stack((first, torch.tensor([0.5, 0.5, 0]), torch.eye(3)[2])))
    torch.testing.assert_close(human_confusion(votes / 10), confusion)


def test_human_confusion_feeds_the_noise():
    confusion = human_confusion(torch.empty(0, K))
    assert torch.equal(confusion, torch.eye(K))
    assert int(flip_labels_by_confusion(labels_of(100), 0.2, confusion, seed=0)[1].sum()) == 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_va_noise_is_normal_clipped_and_grows_with_std(dtype):
    va = torch.zeros(20_000, 2, dtype=dtype)
    noise = perturb_va(va, 0.1, seed=1)
    assert noise.dtype == dtype
    for axis in range(2):
        assert kstest(noise[:, axis].double().numpy() / 0.1, "norm").pvalue > LEAST_P
    assert abs(np.corrcoef(noise.double().T)[0, 1]) < 0.03
    torch.testing.assert_close(perturb_va(va, 0.2, seed=1), 2 * noise)
    strong = perturb_va(va, 5.0, seed=1)
    assert strong.min() == -1
    assert strong.max() == 1
    assert torch.equal(strong.sign(), noise.sign())


def test_va_noise_of_zero_std_changes_nothing_and_missing_stays_missing():
    va = torch.tensor([[0.3, -0.7], [torch.nan, 0.5], [1.0, -1.0]])
    assert torch.equal(perturb_va(va, 0.0, seed=9).nan_to_num(7), va.nan_to_num(7))
    assert torch.equal(perturb_va(va, 0.4, seed=9).isnan(), va.isnan())
    assert perturb_va(torch.empty(0, 2), 0.4, seed=9).shape == (0, 2)


GOOD = torch.tensor([0, 1, 1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flip_labels(GOOD, 1.5, 2, 0), "`0 <= rate <= 1` must hold, but got 1.5"),
        (lambda: flip_labels(GOOD, torch.nan, 2, 0), "`0 <= rate <= 1` must hold, but got nan"),
        (lambda: flip_labels(GOOD, 0.5, 1, 0), "`num_classes >= 2` must hold, but got 1"),
        (lambda: flip_labels(GOOD + 4, 0.5, 5, 0), "`0 <= label < 5` must hold, but row 1 has 5"),
        (lambda: flip_labels_with_replacement(GOOD, -0.1, 2, 0), "`0 <= rate <= 1` must hold, but got -0.1"),
        (lambda: flip_labels_by_confusion(GOOD, 0.5, torch.ones(2, 3), 0), r"shape \(K, K\).*got \(2, 3\)"),
        (lambda: flip_labels_by_confusion(GOOD, 0.5, -torch.eye(2), 0), r"span \[-1.0, "),
        (lambda: flip_labels_by_confusion(GOOD, 0.5, torch.full((2, 2), torch.inf), 0), "must be finite"),
        (lambda: flip_labels_by_confusion(GOOD + 1, 0.5, torch.eye(2), 0), "row 1 has 2"),
        (lambda: human_confusion(torch.tensor([[1.0, -2.0]])), r"they span \[-2.0, 1.0\]"),
        (lambda: human_confusion(torch.tensor([1, 2])), r"shape \(N, K\), but got torch.int64 \(2,\)"),
        (lambda: perturb_va(torch.zeros(1, 2), -1.0, 0), "`0 <= std < inf` must hold, but got -1.0"),
        (lambda: perturb_va(torch.full((1, 2), torch.inf), 1.0, 0), "row 0 is"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_sample_meets_the_same_draws_in_every_subset():
    labels, ids = labels_of(400), torch.arange(400)
    noisy, flipped = flip_labels(labels, 1.0, K, seed=2)
    part = torch.arange(0, 400, 3)
    some, changed = flip_labels(labels[part], 1.0, K, seed=2, ids=ids[part])
    assert torch.equal(some, noisy[part])
    assert torch.equal(changed, flipped[part])


def test_ids_must_be_one_a_sample():
    with pytest.raises(ValueError, match="ids must have shape"):
        flip_labels(labels_of(4), 0.5, K, seed=0, ids=torch.arange(3))
