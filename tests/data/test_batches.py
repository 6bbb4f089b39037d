"""The order of an epoch: every image once, or every class equally often."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from raysweep.training.sampler import balanced_draw, epoch_batches, in_batches

rows_of = st.lists(st.integers(0, 10_000), min_size=1, max_size=120, unique=True).map(torch.tensor)


@given(rows_of, st.integers(2, 50), st.integers(0, 2**31), st.integers(0, 200))
def test_a_pass_takes_every_row_once(rows, size, seed, epoch):
    batches = epoch_batches(rows, size, seed, epoch)
    taken = torch.cat([*batches, torch.empty(0, dtype=torch.int64)])
    alone = len(rows) % size == 1  # a last batch of one is left out
    assert len(taken) == len(rows) - alone
    assert len(taken.unique()) == len(taken)
    assert set(taken.tolist()) <= set(rows.tolist())
    assert all(len(batch) == size for batch in batches[:-1])


def test_epochs_streams_and_seeds_are_shuffled_apart():
    rows = torch.arange(200)
    orders = [
        torch.cat(epoch_batches(rows, 32, seed, epoch, stream=stream))
        for seed in (0, 1)
        for epoch in (1, 2)
        for stream in ("order", "extra order")
    ]
    assert len({tuple(order.tolist()) for order in orders}) == 8
    again = torch.cat(epoch_batches(rows, 32, 0, 1))
    assert torch.equal(again, orders[0])


def test_the_order_of_the_rows_given_plays_no_part():
    """What is trained on decides the order, not how it was listed."""
    rows = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    shuffled, sorted_ = (torch.cat(epoch_batches(r, 16, 3, 1)) for r in (rows, rows.sort().values))
    assert torch.equal(shuffled, sorted_)


@pytest.mark.parametrize(("count", "sizes"), [(10, [4, 4, 2]), (9, [4, 4]), (8, [4, 4]), (3, [3]), (1, [])])
def test_a_last_batch_that_is_too_small_is_left_out(count, sizes):
    assert [len(batch) for batch in in_batches(torch.arange(count), 4, at_least=2)] == sizes


class TestBalancedDraw:
    LABELS = torch.tensor([0] * 500 + [1] * 100 + [3] * 20)  # no image of class 2
    ROWS = torch.arange(620) + 1000

    def drawn(self, epochs):
        return torch.cat([balanced_draw(self.ROWS, self.LABELS, 7, epoch) for epoch in range(epochs)])

    def test_as_many_as_there_are_and_no_others(self):
        order = balanced_draw(self.ROWS, self.LABELS, 7, 1)
        assert order.shape == self.ROWS.shape
        assert set(order.tolist()) <= set(self.ROWS.tolist())

    def test_classes_that_are_there_come_equally_often(self):
        epochs = 60
        counts = torch.bincount(self.LABELS[self.drawn(epochs) - 1000], minlength=4).double()
        expected = epochs * 620 / 3
        chi_square = float(((counts[[0, 1, 3]] - expected) ** 2 / expected).sum())
        assert chi_square < 13.8  # 0.1 % of draws lie beyond, with two degrees of freedom
        assert counts[2] == 0

    def test_images_of_a_class_come_equally_often(self):
        epochs = 120
        times = torch.bincount(self.drawn(epochs) - 1000, minlength=620).double()
        for k in (0, 1, 3):
            mine = times[self.LABELS.eq(k)]
            expected = epochs * 620 / 3 / len(mine)
            chi_square = float(((mine - expected) ** 2 / expected).sum())
            freedom = len(mine) - 1
            assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)

    def test_it_repeats_by_seed_and_epoch_alone(self):
        one = balanced_draw(self.ROWS, self.LABELS, 7, 1)
        assert torch.equal(one, balanced_draw(self.ROWS, self.LABELS, 7, 1))
        assert not torch.equal(one, balanced_draw(self.ROWS, self.LABELS, 7, 2))
        assert not torch.equal(one, balanced_draw(self.ROWS, self.LABELS, 8, 1))

    def test_a_single_class_and_a_single_row(self):
        assert balanced_draw(torch.tensor([5]), torch.tensor([2]), 0, 1).tolist() == [5]
        assert set(balanced_draw(torch.arange(50), torch.full((50,), 3), 0, 1).tolist()) <= set(range(50))

    @given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 2**31))
    def test_every_draw_is_one_of_the_rows(self, labels, seed):
        rows = torch.arange(len(labels)) * 3
        assert set(balanced_draw(rows, torch.tensor(labels), seed, 1).tolist()) <= set(rows.tolist())
