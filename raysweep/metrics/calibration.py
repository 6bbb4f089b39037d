"""Calibration of class probabilities: reliability by bins of confidence, and temperature scaling.

Guo, Pleiss, Sun and Weinberger (2017), "On calibration of modern neural networks", sections 2 and 4.2. N images, K
classes, B bins; NumPy throughout. Bins are those of `registry.calibration_error`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from .registry import CALIBRATION_BINS

Array = np.ndarray[Any, np.dtype[Any]]

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures that are looked at. Where every validation image is right the best one is 0."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Of each bin of confidence its images, the sum of their confidences, and how many are right. Shapes (B,)."""

    images: Array
    confidence: Array
    right: Array

    @property
    def error(self) -> float:
        """Expected calibration error: distance of accuracy and confidence over bins, weighted by images."""
        return float(np.abs(self.right - self.confidence).sum() / max(self.images.sum(), 1))

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.images + other.images, self.confidence + other.confidence, self.right + other.right)


def reliability(probs_NK: Array, labels_N: Array) -> Reliability:
    """By bins of equal width, (lo, hi], the first with 0."""
    confidence_N = probs_NK.max(1)
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1, dtype=np.float32)[1:-1].astype(probs_NK.dtype)
    bins_N = np.searchsorted(edges, confidence_N, side="left")
    right_N = probs_NK.argmax(1) == labels_N
    images, confidence, right = (
        np.bincount(bins_N, weights=weights, minlength=CALIBRATION_BINS)
        for weights in (None, confidence_N.astype(np.float64), right_N.astype(np.float64))
    )
    return Reliability(images, confidence, right)


def at_temperature(probs_NK: Array, temperature: float) -> Array:
    """softmax(log p / T), float64: what dividing the logits by T gives. A probability of 0 counts as the least float32.

    >>> at_temperature(np.array([[0.8, 0.2]]), 2.0).round(3)
    array([[0.667, 0.333]])
    """
    scaled = np.log(np.maximum(probs_NK.astype(np.float64), np.finfo(np.float32).tiny)) / temperature
    scaled -= scaled.max(1, keepdims=True)
    powers = np.exp(scaled)
    result: Array = powers / powers.sum(1, keepdims=True)
    return result


def log_loss(probs_NK: Array, labels_N: Array) -> float:
    """Mean of -log p(label), nats."""
    chosen = probs_NK[np.arange(len(labels_N)), labels_N].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float32).tiny)).mean())


def fitted_temperature(probs_NK: Array, labels_N: Array) -> float:
    """The temperature of the least log loss, between COLDEST and HOTTEST. The loss is convex in 1/T.

    Args:
        probs_NK: of images that the model was not trained on, N > 0; not those that are scored.
        labels_N: (N,) int64 in [0, K).
    """
    found = minimize_scalar(
        lambda log_t: log_loss(at_temperature(probs_NK, math.exp(log_t)), labels_N),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))
