"""Scores of a multi-task model over a whole set, and of the labels that a method makes.

CCC is computed once over the set, with moments over N. Differs from the paper's code, which averages it over batches.

torchmetrics is imported inside functions: it imports torchvision, scipy.signal and torch's compiler, a third of what a
launch imports before it trains.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from raysweep.artifacts.adapted_labels import AdaptedLabels

from .registry import METRICS, Needs


def expression_scores(probs_NK: Tensor, labels_N: Tensor) -> dict[str, float]:
    """Every metric that needs an expression. Images with label -1 have none and are left out."""
    return _computed("expression", *_with_expression(probs_NK, labels_N))


def affect_scores(predicted_N2: Tensor, va_N2: Tensor) -> dict[str, float]:
    """Every metric of valence and arousal, over the rows that have both; {} without two such rows."""
    known = va_N2.isfinite().all(1)
    return _computed("va", predicted_N2[known], va_N2[known]) if int(known.sum()) >= 2 else {}


def vote_scores(probs_NK: Tensor, votes_NK: Tensor) -> dict[str, float]:
    """Every metric of rater votes, over the rows that have some; {} without such rows."""
    known = votes_NK.isfinite().all(1)
    return _computed("votes", probs_NK[known], votes_NK[known].double()) if bool(known.any()) else {}


def _computed(needs: Needs, predicted: Tensor, truth: Tensor) -> dict[str, float]:
    metrics = (metric for metric in METRICS.values() if metric.needs == needs)
    return {metric.name: metric.compute(predicted, truth) for metric in metrics if metric.compute is not None}


def all_scores(
    probs_NK: Tensor, affect_N2: Tensor, labels_N: Tensor, va_N2: Tensor, votes_NK: Tensor
) -> dict[str, float]:
    """Every score that the data allow, by the names of `raysweep.metrics.registry.METRICS`."""
    scores = expression_scores(probs_NK, labels_N)
    return scores | affect_scores(affect_N2, va_N2) | vote_scores(probs_NK, votes_NK)


def confusion(probs_NK: Tensor, labels_N: Tensor) -> Tensor:
    """Counts (K, K): row = label, column = prediction; images with label -1 are left out."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    probs_NK, labels_N = _with_expression(probs_NK, labels_N)
    counts: Tensor = multiclass_confusion_matrix(probs_NK, labels_N, probs_NK.shape[1])
    return counts


def one_class_only(probs_NK: Tensor) -> bool:
    """Whether the model predicts the same class for every image: a degenerate solution."""
    return len(probs_NK.argmax(1).unique()) == 1


def _with_expression(probs_NK: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """The images that have an expression."""
    has_one = labels_N >= 0
    return (probs_NK, labels_N) if bool(has_one.all()) else (probs_NK[has_one], labels_N[has_one])


def label_scores(labels: AdaptedLabels, relabelled: bool = True) -> dict[str, float]:
    """Quality of the labels that a method made, where the truth is known; finite values only.

    Args:
        labels: any subset of them; VA float32.
        relabelled: whether the method relabels the remainder; if not, scores of that are left out.

    Returns:
        kept_share: share of B that M_A agrees with. given_right, kept_right, remainder_right: share of
        given labels that are A's likeliest ones, over all of B, the kept and the remainder;
        relabelled_right: of the remainder's new labels; relabel_agreement: share of the remainder that
        keeps its label. pseudo_rmse, pseudo_ccc: A's pseudo VA against the truth (root of the mean over
        points and both dimensions; mean of both CCC). given_va_rmse, mapped_va_rmse: the remainder's VA
        against the truth, before and after mapping. pseudo_own_rmse, pseudo_own_ccc: A's pseudo VA against A's
        annotated VA.
    """
    scores: dict[str, float] = {}
    for name, truth_va in (("pseudo", labels.target_truth_va), ("pseudo_own", labels.target_own_va)):
        if labels.target_va is not None and truth_va is not None:
            scores |= _va_scores(name, labels.target_va, truth_va)
    kept, given, new = labels.extra_selected, labels.extra_labels_given, labels.extra_labels_new
    if kept is None or given is None:
        return {name: value for name, value in scores.items() if np.isfinite(value)}
    scores["kept_share"] = float(kept.mean())
    rest, truth = ~kept, labels.extra_truth_labels
    if truth is not None:
        right = given == truth
        scores |= {"given_right": float(right.mean()), "kept_right": float(right[kept].mean())}
        scores |= {"remainder_right": float(right[rest].mean())} if rest.any() else {}
    if new is not None and rest.any():
        if relabelled:
            scores["relabel_agreement"] = float((new == given)[rest].mean())
            scores |= {"relabelled_right": float((new == truth)[rest].mean())} if truth is not None else {}
        for name, va in (("given_va_rmse", labels.extra_va_given), ("mapped_va_rmse", labels.extra_va_new)):
            if va is not None and labels.extra_truth_va is not None:
                scores[name] = _rmse(va[rest], labels.extra_truth_va[rest])
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def va_moments(labels: AdaptedLabels) -> dict[str, float]:
    """Moments of VA that DCJT's maps use: of A, of B as given, and of B after mapping (ddof = 1).

    Args:
        labels: as for `label_scores`.

    Returns:
        For each of "target", "extra_given" and "extra_new" that is there: mean_valence, mean_arousal,
        std_valence, std_arousal, correlation, the names joined by an underscore.
    """
    moments: dict[str, float] = {}
    for part, all_va in (
        ("target", labels.target_va),
        ("extra_given", labels.extra_va_given),
        ("extra_new", labels.extra_va_new),
    ):
        va = np.empty((0, 2)) if all_va is None else all_va[np.isfinite(all_va).all(1)].astype(np.float64)
        if len(va) < 2:
            continue
        mean, std = va.mean(0), va.std(0, ddof=1)
        covariance = float(np.cov(va, rowvar=False)[0, 1])
        values = [*mean, *std, covariance / max(float(std.prod()), np.finfo(np.float64).tiny)]
        names = ("mean_valence", "mean_arousal", "std_valence", "std_arousal", "correlation")
        moments |= {f"{part}_{stat}": float(value) for stat, value in zip(names, values, strict=True)}
    return moments


def _va_scores(name: str, va: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    scores = affect_scores(torch.from_numpy(va), torch.from_numpy(truth))
    found = {f"{name}_rmse": _rmse(va, truth)}
    if "ccc_valence" in scores:  # else fewer than two images have valence and arousal
        found[f"{name}_ccc"] = (scores["ccc_valence"] + scores["ccc_arousal"]) / 2
    return found


def _rmse(va: np.ndarray, truth: np.ndarray) -> float:
    known = np.isfinite(va).all(1) & np.isfinite(truth).all(1)
    return float(np.sqrt(np.square(va[known] - truth[known]).mean())) if known.any() else float("nan")
