"""What a cell's predictions say beyond its scores: confusions, reliability, temperature.

Made once of a run's files and kept in the user's cache, so that a report of thousands of runs reads each of them once;
`--check` reads the files again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from raysweep.artifacts.array_file import Array
from raysweep.artifacts.predictions import ImagePredictions
from raysweep.core.hashing import canonical_json
from raysweep.core.user_cache import cache_values, cached_values
from raysweep.metrics.calibration import Reliability, at_temperature, fitted_temperature, log_loss, reliability

from .records import CellRecord

CACHE = "diagnostics"
"""Folder in the user's cache."""

VERSION = 1
"""Raised when the numbers below are computed otherwise, or others are kept."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """After temperature scaling; the temperature is fitted on the cell's validation images."""

    temperature: float
    reliability: Reliability
    log_loss: float


@dataclass(frozen=True, eq=False)
class CellDiagnostics:
    """Of the test images with an expression. `confusion` (K, K): label down, prediction across; `scaled`: None where no
    validation predictions were kept."""

    confusion: Array
    reliability: Reliability
    log_loss: float
    scaled: Scaled | None = None

    @property
    def recalls(self) -> Array:
        """By class; NaN where no test image has it. Shape (K,)."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(1))

    @property
    def f1(self) -> Array:
        """By class, 2 TP / (images + predictions); NaN where no test image has it. Shape (K,)."""
        images = self.confusion.sum(1)
        scores = _ratio(2 * np.diag(self.confusion), images + self.confusion.sum(0))
        known: Array = np.where(images > 0, scores, np.nan)
        return known

    @property
    def shares(self) -> Array:
        """The confusion as shares of its rows; NaN in rows without images."""
        return _ratio(self.confusion, self.confusion.sum(1, keepdims=True))


def _ratio(part: Array, whole: Array) -> Array:
    whole = np.broadcast_to(whole, part.shape).astype(np.float64)
    ratios: Array = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratios


def diagnosed(predictions: ImagePredictions, validation: ImagePredictions | None) -> CellDiagnostics | None:
    """None where no test image has an expression."""
    probs, labels = _with_expression(predictions)
    if not len(labels):
        return None
    classes = probs.shape[1]
    counts = np.bincount(labels * classes + probs.argmax(1), minlength=classes**2).reshape(classes, classes)
    scaled = None
    if validation is not None and len(held_out := _with_expression(validation)[1]):
        fitted = fitted_temperature(_with_expression(validation)[0], held_out)
        temperature = float(f"{fitted:.4g}")  # further digits differ between machines
        new = at_temperature(probs, temperature)
        scaled = Scaled(temperature, reliability(new, labels), log_loss(new, labels))
    return CellDiagnostics(counts, reliability(probs, labels), log_loss(probs, labels), scaled)


def _with_expression(predictions: ImagePredictions) -> tuple[Array, Array]:
    known = predictions.labels >= 0
    return predictions.probs[known], predictions.labels[known].astype(np.int64)


def of_cell(cell: CellRecord) -> CellDiagnostics | None:
    """None for a cell that is not complete, or whose predictions lack."""
    if not cell.complete or cell.run_id is None:
        return None
    key = _digest(cell)
    if not cell.again and (found := _parsed(cached_values(CACHE, key))) is not None:
        return found
    predictions = cell.predictions()
    made = None if predictions is None else diagnosed(predictions, cell.validation())
    if made is not None:
        cache_values(CACHE, key, _plain(made))
    return made


def _digest(cell: CellRecord) -> str:
    """Another one when the run says something else in MLflow."""
    scores = {name: repr(value) for name, value in sorted(cell.scores.items())}
    said = [VERSION, cell.run_id, cell.key, scores, cell.code_version, cell.data_fingerprint]
    return hashlib.sha256(canonical_json(said).encode()).hexdigest()


def _parsed(found: Any) -> CellDiagnostics | None:
    """None for other values than those of `_plain`."""
    try:
        scaled = found["scaled"]
        return CellDiagnostics(
            np.asarray(found["confusion"], dtype=np.int64),
            _reliability(found["reliability"]),
            float(found["log_loss"]),
            scaled and Scaled(float(scaled["temperature"]), _reliability(scaled["reliability"]), scaled["log_loss"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _reliability(found: Mapping[str, Any]) -> Reliability:
    return Reliability(*(np.asarray(found[name], dtype=np.float64) for name in ("images", "confidence", "right")))


def _plain(made: CellDiagnostics) -> dict[str, Any]:
    scaled = made.scaled
    return {
        "confusion": made.confusion.tolist(),
        "reliability": _lists(made.reliability),
        "log_loss": made.log_loss,
        "scaled": scaled and {**vars(scaled), "reliability": _lists(scaled.reliability)},
    }


def _lists(of: Reliability) -> dict[str, list[float]]:
    return {name: values.tolist() for name, values in vars(of).items()}
