"""Scores of a multi-task model over a whole set, by torchmetrics.

CCC is computed once over the set. Differs from the paper's code, which averages it over batches.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torchmetrics.functional import concordance_corrcoef, kl_divergence, mean_squared_error
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
    multiclass_confusion_matrix,
    multiclass_f1_score,
)


def expression_scores(probs_NK: Tensor, labels_N: Tensor) -> dict[str, float]:
    """accuracy, macro_f1, ece (15 equal-width bins), nll (nats), brier (sum over classes, in [0, 2]).

    Macro-F1 is the mean over classes that occur among labels or predictions.
    """
    num_classes = probs_NK.shape[1]
    observed = torch.nn.functional.one_hot(labels_N, num_classes).to(probs_NK.dtype)
    chosen = probs_NK.gather(1, labels_N[:, None]).squeeze(1)
    return {
        "macro_f1": float(multiclass_f1_score(probs_NK, labels_N, num_classes, average="macro")),
        "accuracy": float(multiclass_accuracy(probs_NK, labels_N, num_classes, average="micro")),
        "ece": float(multiclass_calibration_error(probs_NK, labels_N, num_classes, n_bins=15, norm="l1")),
        "nll": float(-chosen.clamp_min(torch.finfo(probs_NK.dtype).tiny).log().mean()),
        "brier": float((probs_NK - observed).square().sum(1).mean()),
    }


def affect_scores(predicted_N2: Tensor, va_N2: Tensor) -> dict[str, float]:
    """RMSE and CCC (Lin, 1989) of valence and arousal over the rows that have both; {} without two such rows."""
    known = va_N2.isfinite().all(1)
    if int(known.sum()) < 2:
        return {}
    scores = {}
    for column, name in enumerate(("valence", "arousal")):
        ours, theirs = predicted_N2[known, column].double(), va_N2[known, column].double()
        scores[f"rmse_{name}"] = float(mean_squared_error(ours, theirs, squared=False))
        with warnings.catch_warnings():  # a constant prediction: CCC is 0 by definition
            warnings.simplefilter("ignore")
            ccc = float(concordance_corrcoef(ours, theirs))
        scores[f"ccc_{name}"] = ccc if ccc == ccc else 0.0
    return scores


def vote_scores(probs_NK: Tensor, votes_NK: Tensor) -> dict[str, float]:
    """KL(votes || prediction), nats, mean over the rows that have votes; {} without such rows."""
    known = votes_NK.isfinite().all(1)
    if not bool(known.any()):
        return {}
    probs = probs_NK[known].double().clamp_min(torch.finfo(torch.float32).tiny)
    return {"kl_votes": float(kl_divergence(votes_NK[known].double(), probs))}


def all_scores(
    probs_NK: Tensor, affect_N2: Tensor, labels_N: Tensor, va_N2: Tensor, votes_NK: Tensor
) -> dict[str, float]:
    """Every score that the data allow, by the names of `raysweep.core.scores.HIGHER_IS_BETTER`."""
    scores = expression_scores(probs_NK, labels_N)
    return scores | affect_scores(affect_N2, va_N2) | vote_scores(probs_NK, votes_NK)


def confusion(probs_NK: Tensor, labels_N: Tensor) -> Tensor:
    """Counts (K, K): row = label, column = prediction."""
    counts: Tensor = multiclass_confusion_matrix(probs_NK, labels_N, probs_NK.shape[1])
    return counts


def one_class_only(probs_NK: Tensor) -> bool:
    """Whether the model predicts the same class for every image: a degenerate solution."""
    return len(probs_NK.argmax(1).unique()) == 1
