"""What each test image contributes to a score: values whose mean is the score.

For a mean of per-image values (accuracy, NLL, Brier) these are the values. Other smooth scores (macro-F1, RMSE, CCC)
get jackknife pseudo-values, M s - (M - 1) s_without_image, shifted so that their mean is the score itself. So done,
they give the analysis of Obuchowski and Rockette (1995) with jackknife covariances (Hillis et al., 2005, "A comparison
of the Dorfman-Berbaum-Metz and Obuchowski-Rockette methods for receiver operating characteristic (ROC) data").

ECE has none: it is not smooth, so a jackknife of it does not give its variance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from raysweep.artifacts.predictions import ImagePredictions
from raysweep.metrics.registry import AROUSAL, VALENCE

Values = np.ndarray[Any, np.dtype[Any]]


def image_scores(predictions: ImagePredictions, score: str) -> Values | None:
    """Values (M,) float64 of the images that the score is computed over, which have the score as their mean.

    None for a score without such values, or if fewer than two images have what it needs.
    """
    if score in _OF_CLASSES:
        known: Values = predictions.labels >= 0
        if int(known.sum()) < 2:
            return None
        return _OF_CLASSES[score](predictions.probs[known].astype(np.float64), predictions.labels[known])
    if score in _OF_VA:
        compute, column = _OF_VA[score]
        there = np.isfinite(predictions.va).all(1)
        if int(there.sum()) < 3:
            return None
        ours, theirs = (part[there, column].astype(np.float64) for part in (predictions.affect, predictions.va))
        return compute(ours, theirs)
    return None


def has_image_scores(score: str) -> bool:
    """Whether the score has values of single images."""
    return score in _OF_CLASSES or score in _OF_VA


def pseudo_values(score: float, without_M: Values) -> Values:
    """Jackknife pseudo-values (M,) of a score, from its values without each image, shifted to have it as their mean."""
    m = len(without_M)
    values: Values = score + (m - 1) * (without_M.mean() - without_M)
    return values


def _accuracy(probs_MK: Values, labels_M: Values) -> Values:
    right: Values = (probs_MK.argmax(1) == labels_M).astype(np.float64)
    return right


def _negative_log_likelihood(probs_MK: Values, labels_M: Values) -> Values:
    chosen = probs_MK[np.arange(len(labels_M)), labels_M]
    losses: Values = -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))
    return losses


def _brier(probs_MK: Values, labels_M: Values) -> Values:
    rows = np.arange(len(labels_M))
    distances: Values = np.square(probs_MK).sum(1) - 2 * probs_MK[rows, labels_M] + 1
    return distances


def _macro_f1(probs_MK: Values, labels_M: Values) -> Values:
    """An image changes two rates at most, by its label and its prediction: so one table (K, K) has all of them."""
    k, predicted_M = probs_MK.shape[1], probs_MK.argmax(1)
    counts = np.bincount(labels_M * k + predicted_M, minlength=k * k).reshape(k, k).astype(np.float64)
    right, size = np.diag(counts), counts.sum(0) + counts.sum(1)
    present = counts.sum(1) > 0
    f1 = _ratio(2 * right, size)
    less_wrong = np.where(present, _ratio(2 * right, size - 1) - f1, 0.0)  # an error of the class is left out
    less_right = np.where(present, _ratio(2 * right - 2, size - 2) - f1, 0.0)
    change = less_wrong[:, None] + less_wrong[None, :]
    np.fill_diagonal(change, less_right)
    score = float(f1[present].mean())
    return pseudo_values(score, score + change[labels_M, predicted_M] / int(present.sum()))


def _rmse(ours_M: Values, theirs_M: Values) -> Values:
    squares = np.square(ours_M - theirs_M)
    without = np.sqrt(np.maximum(squares.sum() - squares, 0.0) / (len(squares) - 1))
    return pseudo_values(float(np.sqrt(squares.mean())), without)


def _concordance(ours_M: Values, theirs_M: Values) -> Values:
    """2 s_xy / (s_x^2 + s_y^2 + (mean_x - mean_y)^2) by moments; means are taken off first, for their digits."""
    middle = float(theirs_M.mean())
    x, y = ours_M - middle, theirs_M - middle
    terms = np.stack([x, y, x * x, y * y, x * y])
    sums, m = terms.sum(1, keepdims=True), len(x)
    return pseudo_values(float(_ccc(sums / m)[0]), _ccc((sums - terms) / (m - 1)))


def _ccc(moments: Values) -> Values:
    """CCC from raw moments (5, any): x, y, x^2, y^2, xy."""
    x, y, xx, yy, xy = moments
    return _ratio(2 * (xy - x * y), xx - x * x + yy - y * y + np.square(x - y))


def _ratio(above: Values, below: Values) -> Values:
    """0 where `below` is 0."""
    ratios: Values = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return ratios


_OF_CLASSES: Mapping[str, Callable[[Values, Values], Values]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "nll": _negative_log_likelihood,
    "brier": _brier,
}
_OF_VA: Mapping[str, tuple[Callable[[Values, Values], Values], int]] = {
    "rmse_valence": (_rmse, VALENCE),
    "rmse_arousal": (_rmse, AROUSAL),
    "ccc_valence": (_concordance, VALENCE),
    "ccc_arousal": (_concordance, AROUSAL),
}
