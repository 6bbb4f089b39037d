"""Self-cure network (SCN): the rank loss and the relabelling, as pure functions.

K. Wang, X. Peng, J. Yang, S. Lu, Y. Qiao, "Suppressing uncertainties for large-scale facial expression
recognition", CVPR 2020. Shapes in names: N samples of a batch, K classes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def rank_loss(importance_N: Tensor, high_share: float = 0.7, margin: float = 0.15) -> Tensor:
    """max(0, margin - (mean_high - mean_low)): important samples must exceed the others by a margin.

    mean_high and mean_low are the mean importance of the two groups of `high_importance`. A batch
    that leaves a group empty gives 0, and gradient 0.

    Args:
        importance_N: (N,) in (0, 1).
        high_share: the paper's beta.
        margin: the paper's delta_1.

    Returns:
        A scalar.

    >>> rank_loss(torch.tensor([0.9, 0.5, 0.9, 0.8]), high_share=0.75, margin=0.5)  # 0.5 - (0.8667 - 0.5)
    tensor(0.1333)
    """
    high_N = high_importance(importance_N, high_share)
    high, low = int(high_N.sum()), int((~high_N).sum())
    if not high or not low:
        return importance_N.sum() * 0
    mean_high = importance_N.where(high_N, 0).sum() / high
    mean_low = importance_N.where(~high_N, 0).sum() / low
    return F.relu(margin - (mean_high - mean_low))


def high_importance(importance_N: Tensor, high_share: float = 0.7) -> Tensor:
    """Which samples are in the group of high importance: the first floor(high_share * N), ties in input order.

    Returns:
        (N,) bool.

    >>> high_importance(torch.tensor([0.2, 0.9, 0.4]), high_share=0.7)
    tensor([False,  True,  True])
    """
    # 0.7 * 90 is 62.999... in binary but must give 63
    high = math.floor(high_share * len(importance_N) + 1e-9)
    order_N = importance_N.detach().argsort(descending=True, stable=True)
    high_N = torch.zeros_like(importance_N, dtype=torch.bool)
    high_N[order_N[:high]] = True
    return high_N


def relabelled(probs_NK: Tensor, given_N: Tensor, margin: float = 0.2, among_N: Tensor | None = None) -> Tensor:
    """Labels after relabelling: the most probable class where p_max - p_given > margin, else the given one.

    The paper considers the group of low importance only (`among_N` = ~high_importance(importance), the default in
    training); the authors' code considers every sample (`scn.relabel_among=all`).

    Args:
        probs_NK: (N, K) probabilities.
        given_N: (N,) labels so far, 0 to K - 1.
        margin: the paper's delta_2.
        among_N: (N,) bool, the samples that may change; None = all.

    Returns:
        (N,) int64.

    >>> relabelled(torch.tensor([[0.7, 0.3], [0.55, 0.45]]), torch.tensor([1, 1]))
    tensor([0, 1])
    """
    most_N, best_N = probs_NK.max(1)
    of_given_N = probs_NK.gather(1, given_N[:, None].long())[:, 0]
    changes_N = most_N - of_given_N > margin
    if among_N is not None:
        changes_N &= among_N
    return torch.where(changes_N, best_N, given_N.long())
