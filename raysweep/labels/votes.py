"""Rater votes as soft labels. Not in the papers.

Barsoum et al. (2016), "Training deep networks for facial expression recognition with crowd-sourced label
distribution", train on such distributions. Shapes: N samples, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from raysweep.labels.checks import check_distributions, check_labels, check_shape


def vote_labels(votes: Tensor, labels: Tensor, noisy: Tensor) -> Tensor:
    """The votes under label noise: where a label moved from i to j, the votes of i and j are exchanged.

    So hard and soft labels are wrong about the same images in the same way.

    Args:
        votes: (N, K) float32 or float64, rows summing to 1, or NaN where nobody voted.
        labels: (N,) int64 in [0, K), before noise.
        noisy: (N,) int64 in [0, K), after it.

    Returns:
        (N, K) in the dtype of `votes`; rows without votes stay NaN, for which `fuse_labels` keeps the label.

    Raises:
        ValueError: labels out of range, votes that are no distributions, or shapes that do not match.

    Example:
        >>> votes = torch.tensor([[0.7, 0.3, 0.0], [0.7, 0.3, 0.0]])
        >>> vote_labels(votes, labels=torch.tensor([0, 0]), noisy=torch.tensor([0, 2]))
        tensor([[0.7000, 0.3000, 0.0000],
                [0.0000, 0.3000, 0.7000]])
    """
    check_distributions("votes", votes)
    for values in (labels, noisy):
        check_shape("labels", values, (len(votes),), f"votes of shape {tuple(votes.shape)}")
        check_labels(values, votes.shape[1])
    order_NK = torch.arange(votes.shape[1], device=votes.device).repeat(len(votes), 1)
    order_NK.scatter_(1, labels[:, None], noisy[:, None])
    order_NK.scatter_(1, noisy[:, None], labels[:, None])
    return votes.gather(1, order_NK)
