"""The labels that a method makes (DCJT): pseudo VA of the target set A, labels and VA of the extra set B as adapted.

Imports neither matplotlib nor MLflow: pictures of a cell and reports are made of the same values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .array_file import Array, ArrayFile


@dataclass(frozen=True, eq=False)
class Plane:
    """Points with their classes. `centres_K2`: mean of each class over all points, NaN where it has none."""

    va_N2: Array
    labels_N: Array
    centres_K2: Array

    @property
    def count(self) -> int:
        return len(self.labels_N)


@dataclass(frozen=True, eq=False)
class BeforeAfter:
    """One quantity of B's remainder before (as given) and after (mapped or relabelled)."""

    before: Array
    after: Array


@dataclass(frozen=True, eq=False)
class AdaptedLabels(ArrayFile):
    """Any subset of these; of images that were trained on, labels (N,) int64 and VA (N, 2), NaN where unknown.

    `target_va`: A's pseudo VA, `target_own_va`: those that A came with. `extra_*_given`: B as it came, `extra_*_new`:
    adapted; `extra_selected` (N,) bool: M_A agrees. Truth by A's criteria, absent where nobody knows it.
    """

    FILE: ClassVar[str] = "labels.npz"

    target_labels: Array | None = None
    target_va: Array | None = None
    target_truth_va: Array | None = None
    target_own_va: Array | None = None
    extra_labels_given: Array | None = None
    extra_va_given: Array | None = None
    extra_selected: Array | None = None
    extra_labels_new: Array | None = None
    extra_va_new: Array | None = None
    extra_truth_labels: Array | None = None
    extra_truth_va: Array | None = None

    def __post_init__(self) -> None:
        arrays = self.arrays()
        for of in ("target_", "extra_"):
            own = {name: array for name, array in arrays.items() if name.startswith(of)}
            if len({len(array) if array.ndim else -1 for array in own.values()}) > 1:
                raise ValueError(f"arrays of other lengths: {', '.join(sorted(own))}")
        for name, array in arrays.items():
            kind, ends = ("f", (2,)) if "_va" in name else ("b" if name.endswith("selected") else "iu", ())
            if array.dtype.kind not in kind or array.ndim != 1 + len(ends) or array.shape[1:] != ends:
                raise ValueError(f"{name} is {array.dtype} {array.shape}")

    def planes(self, classes: int) -> dict[str, Plane]:
        """VA planes by name: "pseudo" (A), "given" and "adapted" (B); those whose arrays exist and hold a point."""
        new = self.extra_labels_given if self.extra_labels_new is None else self.extra_labels_new
        wanted = {
            "pseudo": (self.target_va, self.target_labels),
            "given": (self.extra_va_given, self.extra_labels_given),
            "adapted": (self.extra_va_new, new),
        }
        found = {}
        for name, (va, labels) in wanted.items():
            if va is None or labels is None:
                continue
            known = np.isfinite(va).all(1) & (labels >= 0)
            if known.any():
                found[name] = Plane(va[known], labels[known], _centres(va[known], labels[known], classes))
        return found

    def pseudo_pairs(self) -> tuple[Array, Array, Array] | None:
        """True VA of A, its pseudo VA, its labels, where both are known; None without any such point."""
        truth, pseudo, labels = self.target_truth_va, self.target_va, self.target_labels
        if truth is None or pseudo is None or labels is None:
            return None
        known = np.isfinite(truth).all(1) & np.isfinite(pseudo).all(1)
        return (truth[known], pseudo[known], labels[known]) if known.any() else None

    def va_errors(self) -> BeforeAfter | None:
        """Distance of the remainder's VA from the truth, as given and as mapped; None where truth is unknown."""
        truth, given, new = self.extra_truth_va, self.extra_va_given, self.extra_va_new
        if truth is None or given is None or new is None:
            return None
        rows = self._remainder(len(truth)) & np.isfinite(np.hstack([truth, given, new])).all(1)
        if not rows.any():
            return None
        before, after = (np.linalg.norm(va[rows] - truth[rows], axis=1) for va in (given, new))
        return BeforeAfter(before, after)

    def confusions(self, classes: int) -> BeforeAfter | None:
        """Counts (K, K) of the remainder: the label by A's criteria down, B's as given or as relabelled across."""
        truth, given, new = self.extra_truth_labels, self.extra_labels_given, self.extra_labels_new
        if truth is None or given is None or new is None:
            return None
        inside = [(labels >= 0) & (labels < classes) for labels in (truth, given, new)]
        rows = self._remainder(len(truth)) & np.logical_and.reduce(inside)
        if not rows.any():
            return None
        return BeforeAfter(*(_count(truth[rows], labels[rows], classes) for labels in (given, new)))

    def _remainder(self, count: int) -> Array:
        """What M_A does not agree with; everything where nothing was selected."""
        return np.ones(count, dtype=bool) if self.extra_selected is None else ~self.extra_selected


def _centres(va: Array, labels: Array, classes: int) -> Array:
    counts = np.bincount(labels, minlength=classes)
    sums = np.stack([np.bincount(labels, va[:, i], minlength=classes) for i in range(2)], axis=1)
    centres: Array = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)
    return centres


def _count(truth: Array, labels: Array, classes: int) -> Array:
    return np.bincount(truth * classes + labels, minlength=classes**2).reshape(classes, classes)
