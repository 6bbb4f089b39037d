"""Fused labels for 450,000 faces of 8 classes, the size of AffectNet, on one thread.

    python -m bench.labels

Prints one JSON line; exits with 1 when two ways to the same labels disagree. Baselines, in the same
run: one sample at a time in Python (on a subset, scaled up to the full set) and scikit-learn's
quadratic discriminant analysis on the full set, whose `predict_proba` is the same posterior.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from threadpoolctl import threadpool_limits
from torch import Tensor

from raysweep.core.keyed_random import derive_key, normal, uniform
from raysweep.data.expressions import AFFECTNET_COUNTS, AFFECTNET_MEANS
from raysweep.labels.euclidean import class_means, euclidean_labels
from raysweep.labels.fusion import fuse_labels
from raysweep.labels.gaussians import ClassGaussians, class_gaussians, gaussian_labels

SAMPLES, CLASSES, ALPHA = 450_000, 8, 0.5
LOOP_SAMPLES = 2_000
RUNS = 7
LOOP_GAUSSIAN = f"python_loop_gaussian_scaled_from_{LOOP_SAMPLES}"
LOOP_EUCLIDEAN = f"python_loop_euclidean_scaled_from_{LOOP_SAMPLES}"


def main() -> int:
    torch.set_num_threads(1)
    va, labels = affectnet_like(SAMPLES)
    with threadpool_limits(1):
        report = measure(va, labels)
    print(json.dumps(report))
    return 0 if report["outputs_equal"] else 1


def affectnet_like(count: int) -> tuple[Tensor, Tensor]:
    """VA (N, 2) float32 around AffectNet's class means, and labels with its class shares."""
    ids = torch.arange(count)
    ends = torch.tensor(AFFECTNET_COUNTS, dtype=torch.float64).cumsum(0)
    draws = uniform(derive_key("bench labels", "class"), ids) * ends[-1]
    labels = torch.searchsorted(ends, draws, right=True).clamp_max(CLASSES - 1)
    noise = torch.stack([normal(derive_key("bench labels", axis), ids) for axis in "va"], 1)
    va = (torch.tensor(AFFECTNET_MEANS, dtype=torch.float64)[labels] + 0.2 * noise).clamp(-1, 1)
    return va.to(torch.float32), labels


def measure(va: Tensor, labels: Tensor) -> dict[str, object]:
    """Medians, ratios and the largest differences. `va` (N, 2) float32, `labels` (N,)."""
    va64 = va.double()
    qda = QuadraticDiscriminantAnalysis(store_covariance=True).fit(va64.numpy(), labels.numpy())
    parts = (qda.priors_, qda.means_, np.stack(qda.covariance_))
    of_qda = ClassGaussians(*(torch.as_tensor(part) for part in parts))
    few_va, few_labels = va64[:LOOP_SAMPLES].numpy(), labels[:LOOP_SAMPLES].tolist()
    ways: dict[str, Callable[[], object]] = {
        "gaussian_fused": lambda: fused_gaussian(va, labels),
        "euclidean_fused": lambda: fused_euclidean(va, labels),
        "gaussian_posterior_float64": lambda: gaussian_labels(va64, of_qda),
        "sklearn_qda_predict_proba": lambda: qda.predict_proba(va64.numpy()),
        LOOP_GAUSSIAN: loop_gaussian(few_va, few_labels, class_gaussians(va, labels, CLASSES)),
        LOOP_EUCLIDEAN: loop_euclidean(few_va, few_labels, class_means(va, labels, CLASSES)),
    }
    seconds, results = timed(ways)
    for loop in (LOOP_GAUSSIAN, LOOP_EUCLIDEAN):
        seconds[loop] *= SAMPLES / LOOP_SAMPLES
    pairs = {
        "sklearn_qda_over_gaussian_posterior": (
            "sklearn_qda_predict_proba",
            "gaussian_posterior_float64",
            1e-9,
        ),
        "scaled_loop_over_gaussian_fused": (LOOP_GAUSSIAN, "gaussian_fused", 1e-5),
        "scaled_loop_over_euclidean_fused": (LOOP_EUCLIDEAN, "euclidean_fused", 1e-5),
    }
    differences = {name: largest(results[slow], results[fast]) for name, (slow, fast, _) in pairs.items()}
    return {
        "bench": "labels",
        "samples": SAMPLES,
        "classes": CLASSES,
        "threads": torch.get_num_threads(),
        "runs": RUNS,
        "median_s": {name: round(value, 4) for name, value in seconds.items()},
        "ratio": {name: round(seconds[slow] / seconds[fast], 2) for name, (slow, fast, _) in pairs.items()},
        "max_abs_difference": differences,
        "outputs_equal": all(differences[name] <= limit for name, (_, _, limit) in pairs.items()),
    }


def fused_gaussian(va: Tensor, labels: Tensor) -> Tensor:
    """Everything a stage does: statistics, posterior, fusion."""
    return fuse_labels(labels, gaussian_labels(va, class_gaussians(va, labels, CLASSES)), ALPHA)


def fused_euclidean(va: Tensor, labels: Tensor) -> Tensor:
    return fuse_labels(labels, euclidean_labels(va, class_means(va, labels, CLASSES)), ALPHA)


def loop_gaussian(va: np.ndarray, labels: list[int], gaussians: ClassGaussians) -> Callable[[], np.ndarray]:
    """One sample at a time, over all classes at once in numpy. Statistics are given, not timed."""
    priors, means, covariances = (part.double().numpy() for part in gaussians)
    precisions = np.linalg.inv(covariances)
    scales = np.log(priors) - 0.5 * np.log(np.linalg.det(covariances))

    def run() -> np.ndarray:
        rows = []
        for point, label in zip(va, labels, strict=True):
            offset = point - means
            logs = scales - 0.5 * np.einsum("ki,kij,kj->k", offset, precisions, offset)
            joint = np.exp(logs - logs.max())
            row = (1 - ALPHA) * joint / joint.sum()
            row[label] += ALPHA
            rows.append(row)
        return np.stack(rows)

    return run


def loop_euclidean(va: np.ndarray, labels: list[int], means: Tensor) -> Callable[[], np.ndarray]:
    """One sample at a time, over all classes at once in numpy. Statistics are given, not timed."""
    centroids = means.double().numpy()

    def run() -> np.ndarray:
        rows = []
        for point, label in zip(va, labels, strict=True):
            inverse = 1 / ((point - centroids) ** 2).sum(1)
            row = (1 - ALPHA) * inverse / inverse.sum()
            row[label] += ALPHA
            rows.append(row)
        return np.stack(rows)

    return run


def timed(ways: dict[str, Callable[[], object]]) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Median seconds and one result of every way; the ways take turns, after one untimed round."""
    results = {name: np.asarray(way()) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(RUNS):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}, results


def largest(one: np.ndarray, other: np.ndarray) -> float:
    """Largest absolute difference over the rows that both have; infinite when one is not finite."""
    rows = min(len(one), len(other))
    difference = float(np.abs(one[:rows].astype(np.float64) - other[:rows]).max())
    return difference if np.isfinite(difference) else float("inf")


if __name__ == "__main__":
    sys.exit(main())
