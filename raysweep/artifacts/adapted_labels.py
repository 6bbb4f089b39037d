"""What the pictures of adapted labels show, as plain arrays. A is the target set, B the extra one (DCJT).

Read from `labels.npz`, which holds any subset of
    target_labels (NA,), target_va (NA, 2) pseudo VA, target_truth_va (NA, 2)
    extra_labels_given, extra_labels_new, extra_truth_labels (NB,): B as it came, adapted, by A's criteria
    extra_va_given, extra_va_new, extra_truth_va (NB, 2); extra_selected (NB,) bool: M_A agrees
Truth is absent where nobody knows it. Imports neither matplotlib nor MLflow: the report reads these too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raysweep.core.bounds import read_npz

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

MOST_POINTS = 4000
"""More are drawn from evenly: a picture of 4,000 points looks the same and is drawn in a tenth of a second."""


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


def read_labels(file: Path) -> dict[str, Array]:
    """The arrays of a `labels.npz`.

    Raises:
        ValueError: they are none, or do not belong together.
        OSError: the file cannot be read.
    """
    arrays = read_npz(file)
    for of in ("target_", "extra_"):
        own = {name: array for name, array in arrays.items() if name.startswith(of)}
        if len({len(array) if array.ndim else -1 for array in own.values()}) > 1:
            raise ValueError(f"arrays of other lengths: {', '.join(sorted(own))}")
    for name, array in arrays.items():
        kind, ends = ("f", (2,)) if "_va" in name else ("b" if name.endswith("selected") else "iu", ())
        if array.dtype.kind not in kind or array.ndim != 1 + len(ends) or array.shape[1:] != ends:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
    return arrays


def planes(arrays: Arrays, classes: int) -> dict[str, Plane]:
    """VA planes by name: "pseudo" (A), "given" and "adapted" (B); those whose arrays exist and hold a point."""
    labels_given = arrays.get("extra_labels_given")
    wanted = {
        "pseudo": (arrays.get("target_va"), arrays.get("target_labels")),
        "given": (arrays.get("extra_va_given"), labels_given),
        "adapted": (arrays.get("extra_va_new"), arrays.get("extra_labels_new", labels_given)),
    }
    found = {}
    for name, (va, labels) in wanted.items():
        if va is None or labels is None:
            continue
        known = np.isfinite(va).all(1) & (labels >= 0)
        if known.any():
            found[name] = Plane(va[known], labels[known], _centres(va[known], labels[known], classes))
    return found


def pseudo_pairs(arrays: Arrays) -> tuple[Array, Array, Array] | None:
    """True VA of A, its pseudo VA, its labels, where both are known; None without any such point."""
    truth, pseudo, labels = (arrays.get(name) for name in ("target_truth_va", "target_va", "target_labels"))
    if truth is None or pseudo is None or labels is None:
        return None
    known = np.isfinite(truth).all(1) & np.isfinite(pseudo).all(1)
    return (truth[known], pseudo[known], labels[known]) if known.any() else None


def va_errors(arrays: Arrays) -> BeforeAfter | None:
    """Distance of the remainder's VA from the truth, as given and as mapped; None where truth is unknown."""
    truth, given, new = (arrays.get(f"extra_{name}") for name in ("truth_va", "va_given", "va_new"))
    if truth is None or given is None or new is None:
        return None
    rows = _remainder(arrays, len(truth)) & np.isfinite(np.hstack([truth, given, new])).all(1)
    if not rows.any():
        return None
    before, after = (np.linalg.norm(va[rows] - truth[rows], axis=1) for va in (given, new))
    return BeforeAfter(before, after)


def confusions(arrays: Arrays, classes: int) -> BeforeAfter | None:
    """Counts (K, K) of the remainder: the label by A's criteria down, B's label as given or as relabelled across."""
    truth, given, new = (arrays.get(f"extra_{name}") for name in ("truth_labels", "labels_given", "labels_new"))
    if truth is None or given is None or new is None:
        return None
    inside = [(labels >= 0) & (labels < classes) for labels in (truth, given, new)]
    rows = _remainder(arrays, len(truth)) & np.logical_and.reduce(inside)
    if not rows.any():
        return None
    return BeforeAfter(*(_count(truth[rows], labels[rows], classes) for labels in (given, new)))


def some_of(count: int, most: int = MOST_POINTS) -> Array:
    """At most `most` of `count` row numbers, shuffled so that no class covers another; always the same ones."""
    return np.random.default_rng(0).permutation(count)[:most]


def plane_limit(shown: Mapping[str, Plane]) -> float:
    """How far the axes reach: 1, and further where mapping has moved more than a few points out."""
    ends = [float(np.quantile(np.abs(plane.va_N2), 0.998)) for plane in shown.values()]
    return 1.04 * min(max([1.0, *ends]), 2.0)


def _centres(va: Array, labels: Array, classes: int) -> Array:
    counts = np.bincount(labels, minlength=classes)
    sums = np.stack([np.bincount(labels, va[:, i], minlength=classes) for i in range(2)], axis=1)
    centres: Array = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], np.nan)
    return centres


def _remainder(arrays: Arrays, count: int) -> Array:
    """What M_A does not agree with; everything where nothing was selected."""
    selected = arrays.get("extra_selected")
    return np.ones(count, dtype=bool) if selected is None else ~selected.astype(bool)


def _count(truth: Array, labels: Array, classes: int) -> Array:
    return np.bincount(truth * classes + labels, minlength=classes**2).reshape(classes, classes)
