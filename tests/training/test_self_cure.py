"""SCN's rank loss and relabelling against plain references."""

import numpy as np
import pytest
import torch

from raysweep.training.scn import high_importance, rank_loss, relabelled


def drawn(count, seed):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference_loss(importance, high_share, margin):
    ordered = np.sort(importance)[::-1]
    high = int(round(high_share * len(ordered) * 1e6) // 1e6)
    if high in (0, len(ordered)):
        return 0.0
    return max(0.0, margin - (ordered[:high].mean() - ordered[high:].mean()))


class TestRankLoss:
    @pytest.mark.parametrize("count", [2, 3, 10, 64, 90])
    @pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
    @pytest.mark.parametrize("margin", [0.0, 0.15, 0.9])
    def test_reference(self, count, share, margin):
        for seed in range(5):
            importance = drawn(count, seed)
            expected = reference_loss(importance.numpy(), share, margin)
            assert rank_loss(importance, share, margin).item() == pytest.approx(expected, abs=1e-12)

    def test_gradcheck(self):
        for seed in range(3):
            importance = (0.4 + 0.1 * drawn(12, seed)).requires_grad_()  # within the margin, so the loss is active
            assert rank_loss(importance) > 0
            assert torch.autograd.gradcheck(rank_loss, importance)

    def test_gradient_pulls_the_groups_apart(self):
        importance = torch.tensor([0.5, 0.6, 0.55, 0.58], requires_grad=True)
        rank_loss(importance, high_share=0.5).backward()
        assert importance.grad.tolist() == [0.5, -0.5, 0.5, -0.5]

    def test_nothing_to_do_beyond_the_margin(self):
        importance = torch.tensor([0.9, 0.9, 0.1, 0.1], requires_grad=True)
        loss = rank_loss(importance, high_share=0.5)
        loss.backward()
        assert loss == 0
        assert not importance.grad.any()

    def test_equal_importance_costs_the_margin(self):
        importance = torch.full((10,), 0.5, requires_grad=True)
        loss = rank_loss(importance)
        assert loss.item() == pytest.approx(0.15)
        loss.backward()
        assert importance.grad.sum().item() == pytest.approx(0, abs=1e-6)

    @pytest.mark.parametrize(("count", "share"), [(0, 0.7), (1, 0.7), (3, 0.3), (4, 1.0)])
    def test_an_empty_group(self, count, share):
        importance = torch.full((count,), 0.3, requires_grad=True)
        loss = rank_loss(importance, share)
        loss.backward()
        assert loss.item() == 0
        assert loss.shape == ()
        assert importance.grad.tolist() == [0.0] * count

    @pytest.mark.parametrize(("count", "high"), [(90, 63), (64, 44), (10, 7), (3, 2), (2, 1)])
    def test_size_of_the_groups(self, count, high):
        chosen = high_importance(drawn(count, 0))
        assert chosen.sum() == high
        assert drawn(count, 0)[chosen].min() > drawn(count, 0)[~chosen].max()


class TestRelabelled:
    @pytest.mark.parametrize("margin", [0.0, 0.2, 0.6])
    @pytest.mark.parametrize("limited", [True, False])
    def test_loop(self, margin, limited):
        generator = torch.Generator().manual_seed(1)
        probs = torch.softmax(2 * torch.randn(200, 7, generator=generator), 1)
        given = torch.randint(0, 7, (200,), generator=generator)
        among = torch.rand(200, generator=generator) < 0.3 if limited else None
        got = relabelled(probs, given, margin, among)
        assert got.dtype == torch.int64
        for n in range(200):
            best = max(range(7), key=lambda k, n=n: probs[n, k].item())
            may = among is None or bool(among[n])
            moves = may and (probs[n, best] - probs[n, given[n]]).item() > margin
            assert got[n] == (best if moves else given[n])
        assert (got != given).any()

    def test_exactly_at_the_margin_stays(self):
        assert relabelled(torch.tensor([[0.75, 0.25]]), torch.tensor([1]), margin=0.5).tolist() == [1]
        assert relabelled(torch.tensor([[0.75, 0.25]]), torch.tensor([1]), margin=0.49).tolist() == [0]

    def test_neither_input_is_changed_and_nan_keeps_the_label(self):
        probs = torch.tensor([[0.9, 0.1], [float("nan"), float("nan")]])
        given, among = torch.tensor([1, 1], dtype=torch.int32), torch.tensor([True, True])
        assert relabelled(probs, given, among_N=among).tolist() == [0, 1]
        assert (given.tolist(), among.tolist()) == ([1, 1], [True, True])
