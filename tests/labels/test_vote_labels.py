"""Votes as soft labels, and what label noise does to them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raysweep.labels.fusion import fuse_labels
from raysweep.labels.noise import flip_labels
from raysweep.labels.votes import vote_labels


@given(st.integers(1, 7), st.integers(0, 9), st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float64]))
@settings(deadline=None, max_examples=80)
def test_two_entries_change_places_and_nothing_else(classes, count, seed, dtype):
    draw = torch.Generator().manual_seed(seed)
    votes = torch.softmax(torch.randn(count, classes, generator=draw, dtype=dtype), 1)
    labels, noisy = (torch.randint(0, classes, (count,), generator=draw) for _ in range(2))
    expected = votes.tolist()
    for row, i, j in zip(expected, labels.tolist(), noisy.tolist(), strict=True):
        row[i], row[j] = row[j], row[i]
    assert vote_labels(votes, labels, noisy).tolist() == expected
    assert torch.equal(vote_labels(votes, labels, labels), votes)


def test_hard_and_soft_labels_are_wrong_about_the_same_faces():
    labels = torch.arange(200) % 5
    votes = torch.softmax(torch.randn(200, 5, generator=torch.Generator().manual_seed(0)), 1)
    votes[torch.arange(200), labels] += 1
    votes /= votes.sum(1, keepdim=True)
    noisy, flipped = flip_labels(labels, 0.3, 5, seed=1)
    assert torch.equal(vote_labels(votes, labels, noisy).argmax(1), noisy)
    assert torch.equal((vote_labels(votes, labels, noisy) != votes).any(1), flipped)


def test_a_face_that_nobody_voted_on_keeps_its_label():
    votes = torch.tensor([[torch.nan] * 3, [0.5, 0.5, 0.0]])
    labels, noisy = torch.tensor([0, 0]), torch.tensor([2, 0])
    soft = fuse_labels(noisy, vote_labels(votes, labels, noisy), alpha=0.0)
    assert soft.tolist() == [[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]]


def test_wrong_input_is_refused():
    votes = torch.full((2, 3), 1 / 3)
    labels = torch.tensor([0, 1])
    with pytest.raises(ValueError, match="must have shape"):
        vote_labels(votes, labels[:1], labels)
    with pytest.raises(ValueError, match=r"0 <= label < 3"):
        vote_labels(votes, labels, labels + 2)
    with pytest.raises(ValueError, match="votes must be"):
        vote_labels(votes.long(), labels, labels)
