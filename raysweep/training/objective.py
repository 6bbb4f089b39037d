"""The objective of DDAF, Equations 5-9, term by term."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from raysweep.config.sections import Objective


def loss_terms(
    logits_NK: Tensor,
    affect_N2: Tensor,
    soft_NK: Tensor,
    va_N2: Tensor,
    weights_N: Tensor,
    config: Objective,
    count: int | None = None,
) -> dict[str, Tensor]:
    """Every term of Eq. 9 that is switched on, and their sum as "loss".

    "ce" = mean of W * -sum y log p (Eq. 6), "cs" = mean of W * (1 - cos(y, p)) (Eq. 7),
    "va" = mean of W * |x - x_hat|^2 (Eq. 8; `weighted_va` off: without W).
    loss = weight_va * va + ce + cs.

    Means divide by the batch size, not by the sum of W. A sample without VA (NaN) adds nothing
    to "va", one without an expression (a row of zeros in `soft_NK`) nothing to "ce" and "cs".
    Differs from the paper: Eq. 7 is printed without the mean over the batch, which the authors'
    code takes; and the paper has VA and an expression for every sample that it trains on.

    Args:
        logits_NK, soft_NK: (N, K) scores and target distributions.
        affect_N2, va_N2: (N, 2) predicted and annotated valence and arousal.
        weights_N: (N,) a weight a sample.
        config: switches and factors.
        count: divide by this instead of N (a batch spread over several devices).

    Returns:
        Scalars: "ce", "cs" (when on), "va", "loss".
    """
    count = count or len(logits_NK)
    log_probs = F.log_softmax(logits_NK.float(), dim=1)
    terms = {"ce": (weights_N * -(soft_NK * log_probs).sum(1)).sum() / count}
    if config.cosine:
        distance = 1 - F.cosine_similarity(soft_NK, log_probs.exp(), dim=1)
        terms["cs"] = (weights_N * torch.where(soft_NK.any(1), distance, 0)).sum() / count
    terms["va"] = _affect_term(affect_N2.float(), va_N2, weights_N, config) / count
    terms["loss"] = config.weight_va * terms["va"] + terms["ce"] + terms.get("cs", torch.zeros_like(terms["ce"]))
    return terms


def _affect_term(affect_N2: Tensor, va_N2: Tensor, weights_N: Tensor, config: Objective) -> Tensor:
    known = va_N2.isfinite().all(1)
    target = torch.where(known[:, None], va_N2, affect_N2.detach())  # a missing target has no gradient
    squared = (affect_N2 - target).square()
    distance = squared.sum(1) if config.va_reduction == "sum" else squared.mean(1)
    return (distance * weights_N if config.weighted_va else distance).sum()
