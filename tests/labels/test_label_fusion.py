"""One-hot, smoothed and fused labels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.labels.fusion import fuse_labels, one_hot, smooth_labels

NAN = torch.nan
MIXED = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
LABELS = torch.tensor([2, 1])


def test_by_hand():
    fused = fuse_labels(LABELS, MIXED, 0.5)
    assert fused.tolist() == [[0.25, 0.125, 0.625], [0.0625, 0.875, 0.0625]]


def test_alpha_may_differ_by_sample():
    fused = fuse_labels(LABELS, MIXED, torch.tensor([1.0, 0.0]))
    assert torch.equal(fused, torch.stack((torch.tensor([0.0, 0.0, 1.0]), MIXED[1])))
    assert torch.equal(fuse_labels(LABELS, MIXED, torch.tensor(0.5)), fuse_labels(LABELS, MIXED, 0.5))


distributions = st.integers(1, 6).flatmap(
    lambda k: st.lists(st.lists(st.floats(0, 1, width=32), min_size=k, max_size=k), min_size=1, max_size=6)
)


@given(distributions, st.floats(0, 1), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, max_examples=80)
def test_fusion_keeps_its_ends_and_its_mass(rows, alpha, dtype):
    mixed = torch.softmax(torch.tensor(rows, dtype=dtype), 1)
    labels = torch.arange(len(mixed)) % mixed.shape[1]
    hard = one_hot(labels, mixed.shape[1], dtype)
    soft = mixed.flip(1)
    for whole in (0, 1):
        for share in (float(whole), torch.full((len(mixed),), float(whole))):
            assert torch.equal(fuse_labels(labels, mixed, share), hard if whole else mixed)
            assert torch.equal(fuse_labels(soft, mixed, share), soft if whole else mixed)
    fused = fuse_labels(labels, mixed, alpha)
    assert fused.dtype == dtype
    assert (fused >= 0).all()
    torch.testing.assert_close(fused.sum(1), torch.ones(len(mixed), dtype=dtype))
    assert torch.equal(fused, fuse_labels(hard, mixed, alpha))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_rows_without_va_keep_their_label(alpha):
    mixed = torch.tensor([[NAN, NAN, NAN], [0.1, NAN, 0.2], [0.25, 0.5, 0.25]])
    fused = fuse_labels(torch.tensor([2, 0, 1]), mixed, alpha)
    assert fused[:2].tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert fused[2].isfinite().all()


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_smoothing_is_that_of_cross_entropy(epsilon):
    logits = torch.linspace(-2, 3, 12, dtype=torch.float64).reshape(3, 4).sin() * 3
    labels = torch.tensor([0, 3, 1])
    smooth = smooth_labels(labels, 4, epsilon, dtype=torch.float64)
    mine = -(smooth * logits.log_softmax(1)).sum(1).mean()
    reference = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=epsilon)
    torch.testing.assert_close(mine, reference)


def test_no_rows_in_no_rows_out():
    nobody = torch.zeros(0, dtype=torch.int64)
    assert one_hot(nobody, 3).shape == smooth_labels(nobody, 3, 0.1).shape == (0, 3)
    assert fuse_labels(nobody, torch.empty(0, 3), 0.5).shape == (0, 3)
    assert fuse_labels(nobody, torch.empty(0, 3), torch.empty(0)).shape == (0, 3)


@pytest.mark.parametrize(
    ("labels", "mixed", "alpha", "message"),
    [
        (LABELS, MIXED, 1.2, "`0 <= alpha <= 1` must hold, but got 1.2"),
        (LABELS, MIXED, NAN, "`0 <= alpha <= 1` must hold, but got nan"),
        (LABELS, MIXED, torch.tensor([0.5, -0.5]), "must hold, but got -0.5 in row 1"),
        (LABELS, MIXED, torch.zeros(3), r"alpha must have shape \(2,\).*\(2, 3\), but got \(3,\)"),
        (LABELS[:1], MIXED, 0.5, r"labels must have shape \(2,\).*\(2, 3\), but got \(1,\)"),
        (MIXED[:, :2], MIXED, 0.5, r"labels must have shape \(2, 3\).*but got \(2, 2\)"),
        (torch.tensor([0, 3]), MIXED, 0.5, "`0 <= label < 3` must hold, but row 1 has 3"),
        (LABELS, MIXED[0], 0.5, r"mixed must be .* of shape \(3,\)"),
        (LABELS, MIXED.long(), 0.5, "mixed must be a floating-point tensor"),
    ],
)
def test_bad_input_is_refused(labels, mixed, alpha, message):
    with pytest.raises(ValueError, match=message):
        fuse_labels(labels, mixed, alpha)


def test_bad_epsilon_is_refused():
    with pytest.raises(ValueError, match=r"`0 <= epsilon <= 1` must hold, but got -0\.1"):
        smooth_labels(LABELS, 3, -0.1)
